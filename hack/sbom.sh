#!/usr/bin/env bash
# hack/sbom.sh [TARGET]: what the shipped binary is made of, as CycloneDX: every crate that is compiled into it for that
# target, or for this machine's, with its checksum from Cargo.lock. The same commit gives the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
# {p} is "NAME vVERSION (…)"; procedural macros run at build time and are no part of the program.
cargo tree --locked --target "$target" --edges normal,no-proc-macro --prefix none --no-dedupe --format '{p}|{l}' |
  sed -E 's/^([^ ]+) v([^ |]+)[^|]*\|/\1|\2|/' | sort -u |
  jq --raw-input --slurp --rawfile lock Cargo.lock '
    ($lock | [splits("\\[\\[package\\]\\]\n")
      | [capture("name = \"(?<name>[^\"]+)\"\nversion = \"(?<version>[^\"]+)\"(.|\n)*checksum = \"(?<sum>[0-9a-f]+)\"")]
      | .[] | {key: "\(.name) \(.version)", value: .sum}] | from_entries) as $sums
    | [split("\n")[] | select(. != "") | split("|") | {name: .[0], version: .[1], license: .[2]}] as $crates
    | def component: {
        type: "library", name, version, purl: "pkg:cargo/\(.name)@\(.version)",
        licenses: (if .license == "" then [] else [{expression: .license | gsub("/"; " OR ")}] end)
      } + ($sums["\(.name) \(.version)"] as $sum
        | if $sum then {hashes: [{alg: "SHA-256", content: $sum}]} else {} end);
    ($crates[] | select(.name == "btfleet") | component | .type = "application") as $own
    | {bomFormat: "CycloneDX", specVersion: "1.6", version: 1, metadata: {component: $own},
       components: [$crates[] | select(.name != "btfleet") | component]}'
