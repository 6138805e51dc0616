#!/bin/sh
# find-python.sh VERSION [CANDIDATE...]: print a Python of exactly that version (3.12), or say how to name one.
# A name on the PATH may be a version manager's stand-in that runs nothing, so each candidate is tried.
set -u
version=$1
shift

try() {
    [ "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ] || return 1
    printf '%s\n' "$1"
    exit 0
}

for candidate in "$@" "python$version" python3; do
    try "$candidate"
done
if command -v pyenv >/dev/null 2>&1; then
    for candidate in "$(pyenv root)/versions/$version"*/bin/python; do
        try "$candidate"
    done
fi
echo "there is no Python $version here; name one: make PY$(printf %s "$version" | tr -d .)=/path/to/python$version" >&2
exit 1
