#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A hook that posts each event, as JSON, to a URL:
#
#   hook: [/etc/synfront/webhook.sh, https://hooks.example.net/synfront]
#
# It ends before hook_timeout does, and its status is that of the receiver's answer, so that the log
# says when an event did not get through. With WEBHOOK_TOKEN in the environment of the engine it
# goes along; in the arguments everybody on the machine could read it.
set -eu
url=$1
if [ -n "${WEBHOOK_TOKEN:-}" ]; then
	# By a file of curl's, for the same reason; standard input is the event.
	exec curl --config /dev/fd/3 -fsS --max-time 8 --data-binary @- "$url" 3<<-END
		header = "Content-Type: application/json"
		header = "Authorization: Bearer $WEBHOOK_TOKEN"
	END
fi
exec curl -fsS --max-time 8 -H 'Content-Type: application/json' --data-binary @- "$url"
