# A schema registry with Confluent's interface: Apicurio Registry from Maven, its content in memory. Sourced by `server`.
# Three ports in a row: HTTP, Quarkus's own management, HTTPS with the tests' certificate. It knows no logins without an
# identity server: the tests put a gate in front that asks for them.

# The last line that runs on Java 17.
registry_version=2.6.13.Final

fill_registry() {
  local folder=$1
  need_java
  say "schema registry: fetching Apicurio Registry $registry_version with Maven"
  maven_jars "$folder" "io.apicurio:apicurio-registry-app:$registry_version:tar.gz:all"
  mkdir "$folder/root"
  tar xzf "$folder"/jars/apicurio-registry-app-*.tar.gz -C "$folder/root"
  rm -rf "$folder/jars"
  echo "$registry_version" >"$folder/version"
}

install_registry() { once tls fill_tls; once registry fill_registry; }
version_registry() { echo "Apicurio Registry $(cat "$cache/registry/version") (Maven)"; }
prepare_registry() { :; }
command_registry() {
  command=(java -Xms64m -Xmx400m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.awt.headless=true
    -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$2" -Dquarkus.management.port=$(($2 + 1))
    -Dquarkus.http.insecure-requests=enabled -Dquarkus.http.ssl-port=$(($2 + 2))
    -Dquarkus.http.ssl.certificate.files="$cache/tls/server-cert.pem"
    -Dquarkus.http.ssl.certificate.key-files="$cache/tls/server-key.pem"
    -jar "$cache"/registry/root/*-runner.jar)
}
url_registry() { echo "http://127.0.0.1:$1/apis/ccompat/v7"; }
is_ready_registry() { grep -q 'Listening on: http' "$1/log" 2>/dev/null; }
port_taken_registry() { grep -qi 'already in use\|already bound' "$1/log"; }
client_registry() { die "the registry has no client program"; }
