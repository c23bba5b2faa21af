# SPDX-License-Identifier: BSD-3-Clause
# Completion of plx-devbind for bash. The program itself says what commands it has, and what options
# each of them takes: plx-devbind help [COMMAND].

# Offers those lines of its input that begin with the word at the cursor. Names are the machine's,
# and an interface may be called anything: compgen -W would expand, and so run, what stands in one.
_plx_devbind_names()
{
	local name

	while IFS= read -r name; do
		[[ -z $name || $name != "$cur"* ]] || COMPREPLY+=("$(printf '%q' "$name")")
	done
}

_plx_devbind_commands()
{
	"${words[0]}" help 2>/dev/null | sed -n '/^commands:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p'
}

# Of a command; without one, of all.
_plx_devbind_options()
{
	"${words[0]}" help "$@" 2>/dev/null | sed -n 's/^  \(-[a-zA-Z], \)*\(--[a-z-]*\).*/\2/p'
}

_plx_devbind_kinds()
{
	"${words[0]}" help status 2>/dev/null | tr '\n' ' ' |
		sed -n 's/.* one kind of devices: \([a-z, ]*\).*/\1/p' | tr -s ', ' '\n'
}

# PCI functions, and the interfaces, disks and nodes that have one behind them: in sysfs the way to
# those leads over its address.
_plx_devbind_devices()
{
	command ls /sys/bus/pci/devices
	command find /sys/class/{net,nvme} /sys/block -mindepth 1 -maxdepth 1 -printf '%l\n' |
		sed -n 's,.*/[0-9a-f]\{4\,\}:[0-9a-f][0-9a-f]:[01][0-9a-f]\.[0-7]/.*/,,p'
}

_plx_devbind()
{
	local cur prev words cword command='' word before='' behind=0 old=''
	_init_completion -n : || return

	# The command, and how many words are behind it: options and their values are none.
	for word in "${words[@]:1:cword-1}"; do
		case $before in
		-b | --bind | -U | --uid | -G | --gid | --status-dev | --memory | --socket) ;;
		*)
			case $word in
			-b | --bind) command=bind old=yes ;;
			-u | --unbind) command=unbind old=yes ;;
			-*) ;;
			*) if [ -n "$command" ]; then ((behind++)); else command=$word; fi ;;
			esac
			;;
		esac
		before=$word
	done
	case $prev in
	--status-dev) _plx_devbind_names < <(_plx_devbind_kinds); return ;;
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
	-*) _plx_devbind_names < <(_plx_devbind_options ${command:+"$command"}); return ;;
	esac
	case $command-$behind$old in
	-*) _plx_devbind_names < <(_plx_devbind_commands) ;;
	help-0) _plx_devbind_names < <(_plx_devbind_commands) ;;
	doctor-* | help-*) ;;
	bind-0) _plx_devbind_names < <(command ls /sys/bus/pci/drivers) ;;
	grant-0 | broker-0) COMPREPLY=($(compgen -u -- "$cur")) ;;
	*)
		_plx_devbind_names < <(_plx_devbind_devices 2>/dev/null)
		__ltrim_colon_completions "$cur"
		;;
	esac
} &&
	complete -F _plx_devbind plx-devbind
