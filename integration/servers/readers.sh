# What reads Kafka in the tests and was not written here: Python with kafka-python and confluent-kafka (and its Avro
# deserializer), kcat, and Kafka Connect's JSON converter with Debezium's own classes. Sourced by `server`.

connect_version=4.1.1
debezium_version=3.3.1.Final

# Every package with its version, since the newest of each need not fit the others.
readers_python=(
  kafka-python==3.0.12 confluent-kafka==2.16.1 fastavro==1.13.1
  # What confluent-kafka[avro,schemaregistry] needs.
  anyio==4.16.0 attrs==26.1.0 Authlib==1.9.10 avro==1.12.2 cachetools==8.0.2 certifi==2026.10.19.post1 cffi==2.1.1
  charset-normalizer==3.5.3 cryptography==50.0.2 h11==0.16.0 httpcore2==2.16.2 httpx2==2.16.2 idna==3.20
  joserfc==1.8.0 pycparser==3.12 requests==2.34.2 truststore==0.10.5 typing_extensions==4.16.0 urllib3==2.8.0
)

fill_readers_python() {
  say "readers: fetching kafka-python, confluent-kafka and fastavro from PyPI"
  python_env "$1/python" --no-deps "${readers_python[@]}"
}

fill_readers_kcat() {
  local folder=$1
  say "readers: fetching kcat of this machine's Debian release"
  private_apt "$folder/apt" ""
  # One of the machine's other sources may fail; what counts is whether the packages can be fetched.
  retry apt-get -c "$folder/apt/apt.conf" -qq update >&2 || true
  fetch_debs "$folder/apt" kcat || die "kcat cannot be fetched"
  unpack_debs "$folder/apt" "$folder/root"
}

fill_readers_connect() {
  need_java
  say "readers: fetching connect-json $connect_version and debezium-core $debezium_version with Maven"
  maven_jars "$1" "org.apache.kafka:connect-json:$connect_version" "org.apache.kafka:connect-transforms:$connect_version" \
    "io.debezium:debezium-core:$debezium_version"
}

install_readers() {
  once readers-python fill_readers_python
  once readers-kcat fill_readers_kcat
  once readers-connect fill_readers_connect
}
version_readers() {
  loader_command "$cache/readers-kcat/root" "$cache/readers-kcat/root/usr/bin/kcat"
  echo "readers: ${readers_python[*]:0:3}, kcat $("${command[@]}" -V 2>&1 | awk '/^Version/ { print $2; exit }'), Connect $connect_version, Debezium $debezium_version"
}

# client_readers PROGRAM: `connect` runs a Java source file that is given as argument.
client_readers() {
  case $1 in
    python) command=("$cache/readers-python/python/bin/python") ;;
    kcat) loader_command "$cache/readers-kcat/root" "$cache/readers-kcat/root/usr/bin/kcat" ;;
    connect) command=(java -Xmx200m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$cache/readers-connect/jars/*") ;;
    *) die "readers are python, kcat and connect, not \"$1\"" ;;
  esac
}
