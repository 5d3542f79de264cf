# MariaDB (10.11 on Debian 12): mariadb-server of this machine's own Debian release. Sourced by `server`.

fill_mariadb() {
  local folder=$1
  say "MariaDB: fetching mariadb-server of this machine's Debian release"
  private_apt "$folder/apt" ""
  # One of the machine's other sources may fail; what counts is whether the packages can be fetched.
  retry apt-get -c "$folder/apt/apt.conf" -qq update >&2 || true
  fetch_debs "$folder/apt" mariadb-server-core mariadb-client-core libmariadb3 ||
    die "mariadb-server cannot be fetched; set CDC_TEST_MARIADB_URL to a MariaDB server instead"
  # Of mariadb-server itself only the plugins are wanted, none of its system service's dependencies.
  (cd "$folder/apt/cache/archives" && retry apt-get -c "$folder/apt/apt.conf" -qq download mariadb-server >&2)
  unpack_debs "$folder/apt" "$folder/root"

  loader_command "$folder/root" "$folder/root/usr/sbin/mariadbd"
  "${command[@]}" --no-defaults --version | sed 's/.*Ver \([0-9.]*\).*/\1/' >"$folder/version"

  # The data folder that every instance starts as a copy of: the system tables, without the anonymous users (they would
  # shadow 'user'@'%' on localhost), root without a password, and `cdc` with just what a replication source needs.
  local share=$folder/root/usr/share/mysql prefix
  for prefix in mariadb mysql; do [ ! -e "$share/${prefix}_system_tables.sql" ] || break; done
  mkdir -p "$folder/template"
  {
    printf '%s;\n' 'CREATE DATABASE mysql' 'USE mysql' 'SET @auth_root_socket=NULL'
    cat "$share/${prefix}_system_tables.sql" "$share/${prefix}_performance_tables.sql" \
      "$share/${prefix}_system_tables_data.sql" "$share/maria_add_gis_sp_bootstrap.sql" "$share/${prefix}_sys_schema.sql"
    cat <<'SQL'
USE mysql;
DELETE FROM global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');
FLUSH PRIVILEGES;
CREATE USER 'root'@'%' IDENTIFIED BY '';
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
CREATE USER 'cdc'@'%' IDENTIFIED BY 'cdc';
GRANT SELECT, SHOW DATABASES, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'cdc'@'%';
SQL
  } >"$folder/bootstrap.sql"
  mariadb_command "$folder" "$folder/template"
  "${command[@]}" --bootstrap --skip-log-bin <"$folder/bootstrap.sql" >"$folder/bootstrap.log" 2>&1 ||
    { tail -n 20 "$folder/bootstrap.log" >&2; die "MariaDB could not initialise its data folder"; }
  rm -f "$folder/bootstrap.sql" "$folder/bootstrap.log"
}

# mariadb_command INSTALLATION DATA: see mysql_command.
mariadb_command() {
  local root=$1/root
  loader_command "$root" "$root/usr/sbin/mariadbd"
  command+=(--no-defaults --basedir="$root/usr" --lc-messages-dir="$root/usr/share/mysql"
    --character-sets-dir="$root/usr/share/mysql/charsets" --plugin-dir="$root/usr/lib/mysql/plugin"
    --datadir="$2" --user="$(id -un)" --secure-file-priv= --performance-schema=OFF --innodb-buffer-pool-size=64M
    --innodb-log-file-size=64M --innodb-log-buffer-size=4M --innodb-doublewrite=OFF
    --innodb-flush-log-at-trx-commit=2 --aria-pagecache-buffer-size=8M --key-buffer-size=8M --max-connections=300
    --character-set-server=utf8mb4 --skip-name-resolve --local-infile=ON)
}

install_mariadb() { once tls fill_tls; once mariadb fill_mariadb; }
version_mariadb() { echo "MariaDB $(cat "$cache/mariadb/version") (Debian)"; }

prepare_mariadb() { cp -a --reflink=auto --sparse=always "$cache/mariadb/template" "$1/data"; }

command_mariadb() {
  mariadb_command "$cache/mariadb" "$1/data"
  # A starting server removes temporary tables from its temporary folder: a shared one would be those of others.
  mkdir -p "$1/tmp"
  command+=(--tmpdir="$1/tmp" --port="$2" --bind-address=127.0.0.1 --socket="$1/socket" --pid-file="$1/pid" --server-id="$2"
    --log-bin=binlog --binlog-format=ROW --sync-binlog=0
    --ssl-ca="$cache/tls/ca.pem" --ssl-cert="$cache/tls/server-cert.pem" --ssl-key="$cache/tls/server-key.pem")
}
url_mariadb() { echo "mysql://root@127.0.0.1:$1"; }
is_ready_mariadb() { grep -q 'ready for connections' "$1/log" 2>/dev/null; }
port_taken_mariadb() { grep -qi 'bind on tcp/ip port' "$1/log"; }

client_mariadb() {
  loader_command "$cache/mariadb/root" "$cache/mariadb/root/usr/bin/$1"
}
