#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A hook that mails events:
#
#   hook: [/etc/synfront/mail.sh, noc@example.net, flood, backend_down, port_lost]
#
# The first argument is to whom; of which kinds are the others, all if there are none. The line of
# the log is the subject, and the event as it came the text. Where sendmail is setuid or setgid
# (Postfix, Exim) it cannot queue from a hook: set SENDMAIL to another, such as /usr/bin/msmtp.
set -eu
to=$1
shift
event=$(cat)
kind=$(printf '%s' "$event" | sed -n 's/.*"event":"\([a-z_]*\)".*/\1/p')
if [ $# -gt 0 ]; then
	case " $* " in
	*" $kind "*) ;;
	*) exit 0 ;;
	esac
fi
# Its last member. What is escaped in it may stay so.
subject=$(printf '%s' "$event" | sed -n 's/.*"text":"\(.*\)"}$/\1/p')
printf 'To: %s\nSubject: [synfront] %s\nAuto-Submitted: auto-generated\nContent-Type: application/json\n\n%s\n' \
	"$to" "$subject" "$event" | "${SENDMAIL:-/usr/sbin/sendmail}" -t -oi
