#!/bin/sh
exec /opt/harness/bin/crash --how=corrupt
