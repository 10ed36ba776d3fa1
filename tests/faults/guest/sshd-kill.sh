#!/bin/sh
kill -KILL $(pidof sshd)
sleep 100000
