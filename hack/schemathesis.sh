#!/usr/bin/env bash
# hack/schemathesis.sh ARGS…: runs schemathesis, which tries an HTTP server against its OpenAPI description.
# Without arguments it only installs it, once, outside the tree, in a folder named by its version.
set -euo pipefail
version=4.32.5
root=${XDG_CACHE_HOME:-$HOME/.cache}/btfleet/tools/schemathesis-$version
if [ ! -x "$root/bin/schemathesis" ]; then
  mkdir -p "${root%/*}"
  (
    flock 9 # who waited for another's finds it done
    if [ ! -x "$root/bin/schemathesis" ]; then
      echo "installing schemathesis $version (once)" >&2
      rm -rf "$root"
      # A venv's scripts name its folder, so it cannot be built elsewhere and moved: the program comes last.
      {
        python3 -m venv "$root"
        "$root/bin/pip" install --quiet "schemathesis==$version"
      } >&2
    fi
  ) 9>"$root.lock"
fi
[ $# -gt 0 ] || exit 0
exec "$root/bin/schemathesis" "$@"
