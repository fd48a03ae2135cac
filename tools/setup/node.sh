# Node's packages, among them Node 26 itself: the machine's own Node only has to run npm.

node_binary="$repo/node_modules/.bin/node"

# True when each package of the lock file is installed in its version (those for other platforms
# may be absent) and the Node among them is the right one.
node_ready() {
  [ -x "$node_binary" ] && [ -f "$repo/node_modules/.package-lock.json" ] || return 1
  "$node_binary" -e '
    const { readFileSync } = require("node:fs");
    if (Number(process.versions.node.split(".")[0]) < 26) process.exit(1);
    const packages = (file) => JSON.parse(readFileSync(`${process.argv[1]}/${file}`, "utf8")).packages;
    const fits = (list, mine) => list === undefined || list.includes(mine);
    const installed = packages("node_modules/.package-lock.json");
    for (const [where, wanted] of Object.entries(packages("package-lock.json"))) {
      const here = fits(wanted.os, "linux") && fits(wanted.cpu, process.arch) && fits(wanted.libc, "glibc");
      if (where === "" || (wanted.optional && !here)) continue;
      if (installed[where]?.version !== wanted.version) process.exit(1);
    }' "$repo" 2>/dev/null
}

# True when each WebAssembly module is made from its source as it is now.
wasm_ready() {
  "$node_binary" "$repo/tools/wasm.ts" --check 2>/dev/null
}

wasm_bring() {
  say 'compiling the WebAssembly modules'
  "$node_binary" "$repo/tools/wasm.ts" >"$scratch/wasm.log" 2>&1 || {
    tail -n 12 "$scratch/wasm.log" >&2
    die 'a WebAssembly module does not compile: the last lines are above'
  }
}

node_bring() {
  command -v npm >/dev/null || die 'npm is missing: install Node.js with npm (any from Node 18 on; Godwit brings its own Node 26)'
  say "installing Node 26 and the packages of package-lock.json with npm"
  (cd "$repo" && npm ci --no-audit --no-fund --loglevel=error >"$scratch/npm.log" 2>&1) || {
    grep -v '^npm error *$' "$scratch/npm.log" | head -n 12 >&2
    die 'npm ci failed; its first lines are above'
  }
  # Where install scripts are switched off (ignore-scripts), npm leaves Node 26 without its binary.
  [ -x "$node_binary" ] || (cd "$repo" && npm rebuild node --ignore-scripts=false >>"$scratch/npm.log" 2>&1) || true
  # An npm that runs on an old Node leaves out the builds of the linter and the formatter, which ask
  # for a newer one: with Node 26 it takes them.
  node_ready || (cd "$repo" && PATH="$repo/node_modules/.bin:$PATH" npm install --no-save --no-audit --no-fund \
    --loglevel=error >>"$scratch/npm.log" 2>&1) || true
  node_ready || {
    { tail -n 5 "$scratch/npm.log"; "$node_binary" --version; } >&2 2>&1 || true
    die 'npm has finished, but node_modules/.bin/node is not a Node 26 that runs: see the lines above'
  }
}
