# Shared by `server` and the files of each kind of server: the cache folder, retries, fetching Debian packages without
# installing them, Python environments, certificates, free ports. Sourced, never run.
#
# Nothing here touches the system: packages are unpacked into the cache and run from there through their own loader,
# so neither root nor a system service is needed, and the machine's own libraries do not matter.

cache=${CDC_SERVER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cdc-cli/servers}

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# retry COMMAND…: mirrors hiccup, so a download is tried four times with a growing pause.
retry() {
  local attempt
  for attempt in 1 2 3 4; do
    "$@" && return 0
    [ "$attempt" = 4 ] || { say "attempt $attempt failed, trying again: $1"; sleep $((attempt * 2)); }
  done
  return 1
}

# once NAME FUNCTION: runs FUNCTION FOLDER to fill $cache/NAME unless it is there. Two installers at once wait for each
# other, and a half-filled folder is never seen: it is filled under another name and renamed.
once() {
  local name=$1 fill=$2 lock
  [ -d "$cache/$name" ] && return 0
  mkdir -p "$cache"
  exec {lock}>"$cache/$name.lock"
  flock "$lock"
  if [ ! -d "$cache/$name" ]; then
    rm -rf "$cache/$name.part"
    mkdir -p "$cache/$name.part"
    # A subshell with its own -e: inside `once || …` the caller's -e would be off.
    (set -euo pipefail; "$fill" "$cache/$name.part" {lock}>&-) || die "could not prepare $cache/$name"
    mv "$cache/$name.part" "$cache/$name"
  fi
  exec {lock}>&-
}

# The addresses of the package mirrors this machine already uses, Debian's own first.
debian_mirrors() {
  apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' '$2 == "main" && $3 !~ /security/ { print ($1 == "Debian" ? 0 : 1) "|" $3 }' | sort -u | cut -d'|' -f2
}

# private_apt FOLDER SOURCES: an apt of our own in FOLDER: it believes that nothing is installed, so that it resolves
# whole dependency closures. SOURCES is the text of a sources list, or empty for the machine's own sources.
private_apt() {
  local folder=$1 sources=$2
  mkdir -p "$folder"/state/lists/partial "$folder"/cache/archives/partial
  : >"$folder/state/status"
  {
    printf 'Dir::State "%s/state";\nDir::State::status "%s/state/status";\nDir::Cache "%s/cache";\n' "$folder" "$folder" "$folder"
    if [ -n "$sources" ]; then
      printf '%s\n' "$sources" >"$folder/sources.list"
      printf 'Dir::Etc::sourcelist "%s/sources.list";\nDir::Etc::sourceparts "/dev/null";\n' "$folder"
    fi
    # The machine's hooks and its extra indexes are for the machine's own package state, not for ours.
    printf '#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n'
    printf 'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";\nAcquire::Languages "none";\n'
    printf 'APT::Install-Recommends "false";\nAcquire::Retries "3";\n'
    [ "$(id -u)" != 0 ] || printf 'APT::Sandbox::User "root";\n'
  } >"$folder/apt.conf"
}

# fetch_debs APT_FOLDER PACKAGE…: the packages and all they depend on, as .deb files in cache/archives.
fetch_debs() {
  local folder=$1
  shift
  retry apt-get -c "$folder/apt.conf" -qq -y --download-only install "$@" >&2
}

# unpack_debs APT_FOLDER ROOT: unpacks what was fetched and throws away what no server needs at run time.
unpack_debs() {
  local deb
  for deb in "$1"/cache/archives/*.deb; do dpkg -x "$deb" "$2"; done
  rm -rf "$2"/usr/share/{doc,man,perl,locale,lintian,info} "$2"/usr/lib/*/perl* "$1"
}

# loader_command ROOT PROGRAM: sets `command` to PROGRAM started through ROOT's own loader and libraries.
loader_command() {
  local root=$1 loader libraries
  loader=$(find "$root" \( -name 'ld-linux-*.so.*' -o -name 'ld-linux.so.*' \) -path '*linux-gnu*' | sort | head -n 1)
  [ -n "$loader" ] || die "no dynamic loader under $root"
  libraries=$(find "$root" -type d -path '*/lib/*-linux-gnu*' -name '*-linux-gnu*' | sort | paste -sd:)
  command=("$loader" --library-path "$libraries" "$2")
}

# python_env FOLDER PACKAGE…: a Python environment in FOLDER with the packages from PyPI.
python_env() {
  local folder=$1
  shift
  if ! python3 -m venv "$folder" >/dev/null 2>&1; then
    say "python3 lacks the venv module, installing python3-venv"
    as_root apt-get -qq update && as_root apt-get -qq -y install python3-venv >&2 ||
      die "python3-venv is missing: apt-get install python3-venv"
    python3 -m venv "$folder"
  fi
  retry "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" >&2
  # The environment is renamed into place afterwards, so scripts that name the old folder would not start.
  find "$folder/bin" -type f -exec grep -lI "^#!$folder" {} + | xargs -r rm -f
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# fill_tls FOLDER: a certificate authority, a server certificate for localhost and 127.0.0.1, a client certificate, and
# a second authority that signed none of them (for the tests that must refuse the server).
fill_tls() (
  cd "$1"
  local name
  for name in ca other-ca; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=cdc-cli test $name" \
      -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
      -keyout $name-key.pem -out $name.pem 2>/dev/null
  done
  printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' >server.ext
  printf 'extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n' >client.ext
  for name in server client; do
    openssl req -newkey rsa:2048 -nodes -subj "/CN=cdc-cli test $name" -keyout $name-key.pem -out $name.csr 2>/dev/null
    openssl x509 -req -days 3650 -in $name.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -extfile $name.ext \
      -out $name-cert.pem 2>/dev/null
  done
  rm -f ./*.csr ./*.ext ./*.srl
)

# The reader of the lake, as its users have it.
duckdb_version=2.0.1
fill_duckdb() { python_env "$1" "duckdb==$duckdb_version"; }

# free_port: sets `port` to one that nobody listens on, below the range the kernel hands out by itself. Somebody may
# still take it before the server binds; starting then fails and is tried again with another.
free_port() {
  while :; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 9900))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 0
  done
}
