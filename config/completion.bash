# SPDX-License-Identifier: BSD-3-Clause
# Completion of synfront, synfrontctl, synfront-pcap and synfront-adopt for bash. Options, commands
# and levels are those of each program's own --help.

# The long options in the help of program $1.
_synfront_options() {
	"$1" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u
}

# The commands in it: what begins a line after two blanks and is no option.
_synfront_commands() {
	"$1" --help 2>/dev/null | sed -nE 's/^  ([a-z]+) .*/\1/p'
}

# The levels in it.
_synfront_levels() {
	"$1" --help 2>/dev/null | sed -nE '/--log-level LEVEL  /{s/.*LEVEL  //;s/;.*//;s/,| or / /g;p}'
}

# Engines that have a telemetry socket which this user may see.
_synfront_instances() {
	local socket
	for socket in /var/run/dpdk/*/dpdk_telemetry.v2 "${XDG_RUNTIME_DIR:-/none}"/dpdk/*/dpdk_telemetry.v2; do
		[ ! -S "$socket" ] || basename "$(dirname "$socket")"
	done
}

_synfront() {
	local program=$1 word=$2 before=$3 words='' files=no
	case $before in
	--log-level) words=$(_synfront_levels "$program") ;;
	--user) words=$(compgen -u) ;;
	--instance) words=$(_synfront_instances) ;;
	--seed | --until | --drain-at | --watch | --group-secret | --service | --for | --why | --client | --count | --seconds | explain) ;;
	--outcome) words='pass answer taken drop' ;;
	drain) words='on off status' ;;
	reload) words=status ;;
	metrics) words=openmetrics ;;
	deny | allow) words='add del list load' ;;
	check | load | --config | --observe | --outside | --inside | -w | --write | --write-* | --comment | --counters | --rows | --output) files=yes ;;
	*)
		words=$(_synfront_options "$program")
		[[ $word == -* ]] || words=$(_synfront_commands "$program")
		;;
	esac
	if [ "$files" = yes ]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	fi
}

complete -F _synfront synfront synfrontctl synfront-pcap synfront-adopt
