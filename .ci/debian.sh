#!/usr/bin/env bash
# The Debian package: made of the debug build that is there already, since a release build takes as long as all of this; what it
# holds; and that it can be installed.
. "$(dirname "$0")/tools.sh"
