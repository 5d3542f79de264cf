# MySQL 8.4 or newer: mysql-server-core and mysql-client-core of Debian unstable. Sourced by `server`.

fill_mysql() {
  local folder=$1 mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed='' fetched=
  [ ! -r "$keyring" ] || signed="[signed-by=$keyring] "
  for mirror in $(debian_mirrors); do
    private_apt "$folder/apt" "deb ${signed}$mirror unstable main"
    say "MySQL: fetching mysql-server-core of Debian unstable"
    if retry apt-get -c "$folder/apt/apt.conf" -qq update >&2 &&
      fetch_debs "$folder/apt" mysql-server-core mysql-client-core; then
      fetched=yes
      break
    fi
    rm -rf "$folder/apt"
  done
  [ -n "$fetched" ] || die "no package mirror of this machine has Debian unstable; set CDC_TEST_MYSQL_URL to a MySQL server instead"
  unpack_debs "$folder/apt" "$folder/root"

  loader_command "$folder/root" "$folder/root/usr/sbin/mysqld"
  "${command[@]}" --no-defaults --version | sed 's/.*Ver \([0-9.]*\).*/\1/' >"$folder/version"
  sort -VC <<<"8.4"$'\n'"$(cat "$folder/version")" || die "found MySQL $(cat "$folder/version"), need 8.4 or newer"

  # The data folder that every instance starts as a copy of. Its users: root without a password, from anywhere on this
  # machine, and `cdc` with just what a replication source needs.
  cat >"$folder/init.sql" <<'SQL'
CREATE USER 'root'@'%' IDENTIFIED BY '';
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
CREATE USER 'cdc'@'%' IDENTIFIED BY 'cdc';
GRANT SELECT, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'cdc'@'%';
GRANT XA_RECOVER_ADMIN ON *.* TO 'cdc'@'%';
SQL
  mysql_command "$folder" "$folder/template"
  "${command[@]}" --initialize-insecure --init-file="$folder/init.sql" >"$folder/initialize.log" 2>&1 ||
    { tail -n 20 "$folder/initialize.log" >&2; die "MySQL could not initialise its data folder"; }
  # Each copy draws its own server UUID.
  rm -f "$folder/template/auto.cnf" "$folder/init.sql" "$folder/initialize.log"
}

# mysql_command INSTALLATION DATA: sets `command` to the server with the options that every instance has. They suit
# several servers on a small machine that only ever die with kill -9, never with the machine.
mysql_command() {
  local root=$1/root
  loader_command "$root" "$root/usr/sbin/mysqld"
  command+=(--no-defaults --basedir="$root/usr" --lc-messages-dir="$root/usr/share/mysql"
    --plugin-dir="$root/usr/lib/mysql/plugin" --datadir="$2" --user="$(id -un)" --secure-file-priv=
    --mysqlx=OFF --performance-schema=OFF --innodb-buffer-pool-size=64M --innodb-redo-log-capacity=64M
    --innodb-log-buffer-size=4M --innodb-doublewrite=OFF --innodb-flush-log-at-trx-commit=2 --max-connections=300
    --character-set-server=utf8mb4 --skip-name-resolve --local-infile=ON)
}

install_mysql() { once tls fill_tls; once mysql fill_mysql; }
version_mysql() { echo "MySQL $(cat "$cache/mysql/version") (Debian unstable)"; }

# prepare_mysql DIR: a data folder in DIR/data.
prepare_mysql() { cp -a --reflink=auto --sparse=always "$cache/mysql/template" "$1/data"; }

command_mysql() {
  mysql_command "$cache/mysql" "$1/data"
  # A starting server removes temporary tables from its temporary folder: a shared one would be those of others.
  mkdir -p "$1/tmp"
  command+=(--tmpdir="$1/tmp" --port="$2" --bind-address=127.0.0.1 --socket="$1/socket" --pid-file="$1/pid" --server-id="$2"
    --log-bin=binlog --sync-binlog=0 --gtid-mode=ON --enforce-gtid-consistency=ON
    --ssl-ca="$cache/tls/ca.pem" --ssl-cert="$cache/tls/server-cert.pem" --ssl-key="$cache/tls/server-key.pem")
}
url_mysql() { echo "mysql://root@127.0.0.1:$1"; }
is_ready_mysql() { grep -q 'mysqld.* ready for connections' "$1/log" 2>/dev/null; }
port_taken_mysql() { grep -qi 'bind on tcp/ip port' "$1/log"; }

client_mysql() {
  loader_command "$cache/mysql/root" "$cache/mysql/root/usr/bin/$1"
}
