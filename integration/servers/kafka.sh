# Apache Kafka 4 (KRaft, one node that is broker and controller) from the jars of org.apache.kafka:kafka_2.13 on the
# machine's Java. Sourced by `server`.
#
# Five ports in a row: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, controller. SASL takes PLAIN (cdc/cdc-secret, and
# nobody/nobody-secret, who may do nothing) and SCRAM-SHA-256 and -512 (scram/scram-secret). PLAINTEXT may do everything.
# Server options are Kafka's own: `key=value`.

kafka_version=4.1.1
kafka_cluster=Y2RjLWNsaS1rYWZrYS0wMQ

fill_kafka() {
  local folder=$1
  need_java
  say "Kafka: fetching the jars of kafka_2.13 $kafka_version with Maven"
  # The broker brings log4j but not its binding, which its own distribution adds.
  maven_jars "$folder" "org.apache.kafka:kafka_2.13:$kafka_version" "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"
  echo "$kafka_version" >"$folder/version"
  # What the broker says, without a timestamp per line of its own format.
  cat >"$folder/log4j2.properties" <<'PROPERTIES'
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = STDOUT
appender.console.type = Console
appender.console.name = STDOUT
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{HH:mm:ss.SSS}] %p %m (%c{1})%n
logger.config.name = org.apache.kafka.common.config.AbstractConfig
logger.config.level = ERROR
PROPERTIES
  # The data folder that every instance starts as a copy of; the users of SCRAM are in it.
  kafka_properties "$folder" "$folder/template" 9092 >"$folder/format.properties"
  java_command "$folder" kafka.tools.StorageTool
  "${command[@]}" format --cluster-id "$kafka_cluster" --config "$folder/format.properties" \
    --add-scram 'SCRAM-SHA-256=[name=scram,password=scram-secret]' \
    --add-scram 'SCRAM-SHA-512=[name=scram,password=scram-secret]' >"$folder/format.log" 2>&1 ||
    { tail -n 20 "$folder/format.log" >&2; die "Kafka could not format its data folder"; }
  rm -f "$folder/format.log" "$folder/format.properties"
}

# need_java: Java and Maven, which a small machine may lack.
need_java() {
  command -v javac >/dev/null && command -v mvn >/dev/null && return 0
  say "installing Java and Maven"
  retry as_root apt-get -qq update && retry as_root apt-get -qq -y install --no-install-recommends \
    default-jdk-headless maven >/dev/null || die "Java and Maven are missing: apt-get install default-jdk-headless maven"
}

# maven_jars FOLDER GROUP:ARTIFACT:VERSION[:TYPE:CLASSIFIER]…: artifacts as FOLDER/jars, with all that they need at run
# time; one with a type is a whole distribution and is taken alone.
maven_jars() {
  local folder=$1 group artifact version type classifier
  shift
  {
    printf '%s\n' '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>' \
      '<groupId>cdc-cli</groupId><artifactId>servers</artifactId><version>1</version><packaging>pom</packaging><dependencies>'
    for coordinates in "$@"; do
      IFS=: read -r group artifact version type classifier <<<"$coordinates"
      printf '<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version>' "$group" "$artifact" "$version"
      [ -z "$type" ] || printf '<type>%s</type><classifier>%s</classifier><exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>' "$type" "$classifier"
      printf '</dependency>\n'
    done
    printf '%s\n' '</dependencies></project>'
  } >"$folder/pom.xml"
  # Maven looks first into what it has cached on this machine.
  retry mvn -q -B -f "$folder/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$folder/jars" >"$folder/maven.log" 2>&1 ||
    { tail -n 20 "$folder/maven.log" >&2; die "Maven cannot resolve $*"; }
  rm -f "$folder/maven.log"
}

# java_command INSTALLATION CLASS: sets `command` to a program of the jars. The heap suits many instances on one small
# machine, and a broker that lives for a minute starts faster without the second compiler; CDC_KAFKA_JAVA_OPTIONS wins.
java_command() {
  local heap="-Xms64m -Xmx400m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
  # Options are separated by blanks and hold none.
  # shellcheck disable=SC2206
  command=(java ${CDC_KAFKA_JAVA_OPTIONS:-$heap} -Djava.awt.headless=true
    -Dlog4j2.configurationFile="$1/log4j2.properties" -cp "$1/jars/*" "$2")
}

# kafka_properties INSTALLATION DATA PORT: the configuration on standard output.
kafka_properties() {
  local data=$2 p=$3 tls=$cache/tls plain=org.apache.kafka.common.security.plain.PlainLoginModule
  local scram=org.apache.kafka.common.security.scram.ScramLoginModule name
  cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((p + 4))
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$p,SSL://127.0.0.1:$((p + 1)),SASL_PLAINTEXT://127.0.0.1:$((p + 2)),SASL_SSL://127.0.0.1:$((p + 3)),CONTROLLER://127.0.0.1:$((p + 4))
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location=$tls/server.pem
ssl.truststore.type=PEM
ssl.truststore.location=$tls/ca.pem
ssl.client.auth=requested
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:cdc;User:scram;User:CN=cdc-cli test client
log.dirs=$data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=2
num.io.threads=4
controlled.shutdown.enable=false
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
PROPERTIES
  for name in sasl_plaintext sasl_ssl; do
    cat <<PROPERTIES
listener.name.$name.plain.sasl.jaas.config=$plain required user_cdc="cdc-secret" user_nobody="nobody-secret";
listener.name.$name.scram-sha-256.sasl.jaas.config=$scram required;
listener.name.$name.scram-sha-512.sasl.jaas.config=$scram required;
PROPERTIES
  done
}

install_kafka() {
  once tls fill_tls
  # One file with key and certificate, as Kafka reads it; two installers at once write the same.
  [ -e "$cache/tls/server.pem" ] || { cat "$cache/tls/server-key.pem" "$cache/tls/server-cert.pem" >"$cache/tls/server.pem.$$" && mv "$cache/tls/server.pem.$$" "$cache/tls/server.pem"; }
  once kafka fill_kafka
}
version_kafka() { echo "Apache Kafka $(cat "$cache/kafka/version") (Maven)"; }

# prepare_kafka DIR: a formatted data folder in DIR/data.
prepare_kafka() { cp -a --reflink=auto "$cache/kafka/template" "$1/data"; }

command_kafka() {
  kafka_properties "$cache/kafka" "$1/data" "$2" >"$1/server.properties"
  java_command "$cache/kafka" kafka.Kafka
  command+=("$1/server.properties")
}
# options_kafka OPTION…: sets `options` to what the server's command line takes for them.
options_kafka() {
  local option
  options=()
  for option in "$@"; do options+=(--override "$option"); done
}
url_kafka() { echo "127.0.0.1:$1"; }
is_ready_kafka() { grep -q 'Kafka Server started' "$1/log" 2>/dev/null; }
port_taken_kafka() { grep -qi 'address already in use' "$1/log"; }

client_kafka() { die "the clients of Kafka are of the kind readers"; }
