#!/bin/sh
# More than is fetched, and less than the guest's tmpfs holds.
yes '{"type":"nonsense","text":"nobody will read this line, nor any of those that follow"}' |
	head -c 209715200
echo '{"type":"done"}'
exit 0
