# SPDX-License-Identifier: BSD-3-Clause
# Completion of plx-devbind for bash.

# Offers those lines of its input that begin with the word at the cursor. Names are the machine's,
# and an interface may be called anything: compgen -W would expand, and so run, what stands in one.
_plx_devbind_names()
{
	local name

	while IFS= read -r name; do
		[[ -z $name || $name != "$cur"* ]] || COMPREPLY+=("$(printf '%q' "$name")")
	done
}

_plx_devbind()
{
	local commands='status bind unbind restore why doctor grant broker help'
	local options='--status --status-dev --bind --unbind --uid --gid --force --noiommu-mode
		--allow-noiommu --json --all --whole-group --persist --memory --socket --help'
	local kinds='net baseband crypto dma event mempool compress misc regex nvme other'
	local cur prev words cword command='' word before='' behind=0
	_init_completion -n : || return

	# The command, and how many words are behind it: options and their values are none.
	for word in "${words[@]:1:cword-1}"; do
		case $before in
		-b | --bind | -U | --uid | -G | --gid | --status-dev | --memory | --socket) ;;
		*)
			case $word in
			-b | --bind | -u | --unbind) command=devices ;;
			-*) ;;
			*) if [ -n "$command" ]; then ((behind++)); else command=$word; fi ;;
			esac
			;;
		esac
		before=$word
	done
	case $prev in
	--status-dev) COMPREPLY=($(compgen -W "$kinds" -- "$cur")); return ;;
	-b | --bind)
		_plx_devbind_names < <(command ls /sys/bus/pci/drivers; echo none)
		return
		;;
	-U | --uid) COMPREPLY=($(compgen -u -- "$cur")); return ;;
	-G | --gid) COMPREPLY=($(compgen -g -- "$cur")); return ;;
	--socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	--memory) return ;;
	esac
	case $cur in
	-*) COMPREPLY=($(compgen -W "$options" -- "$cur")); return ;;
	esac
	case $command-$behind in
	-*) COMPREPLY=($(compgen -W "$commands" -- "$cur")) ;;
	doctor-* | help-*) ;;
	bind-0) _plx_devbind_names < <(command ls /sys/bus/pci/drivers) ;;
	grant-0 | broker-0) COMPREPLY=($(compgen -u -- "$cur")) ;;
	*)
		_plx_devbind_names < <(command ls /sys/bus/pci/devices /sys/class/net /sys/class/block \
			2>/dev/null | sed '/^\/.*:$/d')
		__ltrim_colon_completions "$cur"
		;;
	esac
} &&
	complete -F _plx_devbind plx-devbind
