#!/bin/sh
yes 'nobody will read this line of the console, nor any of the many that follow' |
	head -c 1073741824 >/dev/console
