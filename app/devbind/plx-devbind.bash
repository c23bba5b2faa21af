# SPDX-License-Identifier: BSD-3-Clause
# Completion of plx-devbind for bash.

_plx_devbind()
{
	local commands='status bind unbind restore why doctor grant broker help'
	local options='--status --status-dev --bind --unbind --uid --gid --force --noiommu-mode
		--allow-noiommu --json --all --whole-group --persist --memory --socket --help'
	local kinds='net baseband crypto dma event mempool compress misc regex nvme other'
	local cur prev words cword command word
	_init_completion -n : || return

	for word in "${words[@]:1:cword-1}"; do
		case $word in
		-b | --bind | -u | --unbind) command=devices ;;
		-*) ;;
		*) [ -n "$command" ] || command=$word ;;
		esac
	done
	case $prev in
	--status-dev) COMPREPLY=($(compgen -W "$kinds" -- "$cur")); return ;;
	-b | --bind | bind) COMPREPLY=($(compgen -W "$(command ls /sys/bus/pci/drivers) none" -- "$cur")); return ;;
	-U | --uid) COMPREPLY=($(compgen -u -- "$cur")); return ;;
	-G | --gid) COMPREPLY=($(compgen -g -- "$cur")); return ;;
	grant | broker) COMPREPLY=($(compgen -u -- "$cur")); return ;;
	--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	--memory) return ;;
	esac
	case $cur in
	-*) COMPREPLY=($(compgen -W "$options" -- "$cur")); return ;;
	esac
	case $command in
	'') COMPREPLY=($(compgen -W "$commands" -- "$cur")) ;;
	doctor | help) ;;
	*)
		COMPREPLY=($(compgen -W "$(command ls /sys/bus/pci/devices; command ls /sys/class/net)" -- "$cur"))
		__ltrim_colon_completions "$cur"
		;;
	esac
} &&
	complete -F _plx_devbind plx-devbind
