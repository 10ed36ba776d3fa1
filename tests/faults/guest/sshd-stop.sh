#!/bin/sh
# The connection stays open, and nobody answers.
kill -STOP $(pidof sshd)
echo '{"type":"done"}'
