#!/usr/bin/env bash
# build.sh: kube-apiserver, kube-controller-manager and kube-scheduler 1.20.2 from the distribution's own source package,
# and etcd, into .run/tools/kubernetes/<key>/bin. No package of the distribution ships them built. Prints the directory.
# About 6 CPU minutes the first time; later runs find the result. Needs root only for missing packages.
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/dev/lib.sh"
umask 022
VERSION=1.20.2
KEY=$VERSION-1 # the second number counts changes of how it is built
CACHE=${TENANTRY_KUBE_CACHE:-$RUN/tools/kubernetes}
OUT=$CACHE/$KEY
GO=/usr/lib/go-1.19/bin/go

has() { command -v "$1" >/dev/null 2>&1; }
if [ -x "$OUT/bin/kube-scheduler" ] && has etcd; then
  echo "$OUT/bin"
  exit 0
fi

packages() {
  local want=() p=('golang-1.19-go' 'etcd-server')
  [ -x "$GO" ] || [ -x "$OUT/bin/kube-scheduler" ] || want+=("${p[0]}")
  has etcd || want+=("${p[1]}")
  [ ${#want[@]} -gt 0 ] || return 0
  is_root || die "needs packages: sudo apt-get install ${want[*]}"
  step "apt-get install ${want[*]}" >&2
  apt-get update -qq </dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${want[@]}" </dev/null >/dev/null
}

# Source packages of the distribution's own mirror, by a private apt: the machine's lists stay as they are.
source_apt() {
  local d=$WORK/apt
  mkdir -p "$d"/{lists/partial,cache/archives/partial}
  {
    grep -hE '^deb ' /etc/apt/sources.list 2>/dev/null | grep -E 'debian' | grep -v -- '-backports' | sed 's/^deb /deb-src /' || true
    sed -E 's/^Types: *deb *$/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources 2>/dev/null |
      awk '/^#/{next} /^URIs:/{u=$2} /^Suites:/{s=$0; sub(/^Suites: */,"",s)} /^Signed-By:/{k=$2}
           /^$/{flush()} END{flush()} function flush(  i,n,a){ if(u==""){return} n=split(s,a," "); for(i=1;i<=n;i++) print "deb-src " (k?"[signed-by=" k "] ":"") u " " a[i] " main"; u=""; s=""; k="" }'
  } >"$d/sources.list"
  printf 'Dir::Etc::sourcelist "%s";\nDir::Etc::sourceparts "/dev/null";\nDir::State::lists "%s";\nDir::Cache "%s";\nAPT::Sandbox::User "root";\n' \
    "$d/sources.list" "$d/lists" "$d/cache" >"$d/apt.conf"
  APT_CONFIG=$d/apt.conf apt-get update -qq </dev/null
  (cd "$WORK" && APT_CONFIG=$d/apt.conf apt-get source -q --download-only kubernetes </dev/null >/dev/null && apt-get download -q golang-github-modern-go-reflect2-dev </dev/null >/dev/null)
}

compile() {
  local src=$WORK/gp/src/k8s.io/kubernetes dirs
  mkdir -p "$src" && tar xzf "$WORK"/kubernetes_1.20*.orig.tar.gz --strip-components=1 -C "$src"
  # reflect2 1.0.1 crashes in map iteration on Go 1.18 and later; the distribution's 1.0.2 does not
  dpkg-deb -x "$WORK"/golang-github-modern-go-reflect2-dev*.deb "$WORK/r2"
  rm -r "$src/vendor/github.com/modern-go/reflect2"
  cp -r "$WORK/r2/usr/share/gocode/src/github.com/modern-go/reflect2" "$src/vendor/github.com/modern-go/"
  cd "$src"
  export GO111MODULE=off CGO_ENABLED=0 GOPATH=$WORK/gp GOCACHE=$WORK/gocache GOFLAGS=
  # pkg/generated/openapi is not in the tarball
  "$GO" build -o "$WORK/oagen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
  dirs=$(grep -rl --include=*.go '+k8s:openapi-gen=' vendor/k8s.io/{api,apimachinery,apiserver,apiextensions-apiserver,kube-aggregator,component-base,cloud-provider,kube-controller-manager,kube-proxy,kube-scheduler,kubelet,metrics,client-go}/ pkg cmd |
    grep -v _test.go | xargs -n1 dirname | sort -u | sed 's#//*#/#g;s#^#k8s.io/kubernetes/#' | paste -sd,)
  "$WORK/oagen" --logtostderr -i "$dirs" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
    -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$WORK/violations"
  # one after the other: linking all at once takes 3 GB
  local c
  for c in kube-apiserver kube-controller-manager kube-scheduler; do "$GO" build -ldflags='-s -w' -o "$WORK/bin/" "./cmd/$c"; done
}

mkdir -p "$CACHE"
exec 9>"$CACHE/build.lock"
flock 9 # a second run waits for the first
[ ! -x "$OUT/bin/kube-scheduler" ] || { packages && echo "$OUT/bin" && exit 0; }
WORK=$(mktemp -d "$CACHE/build.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
packages
has apt-get || die "this script takes the sources from a Debian mirror"
step "source package kubernetes $VERSION" >&2
source_apt
step "go build (about 6 CPU minutes, once)" >&2
(renice -n 10 -p "$BASHPID" >/dev/null && compile) >"$CACHE/build.log" 2>&1 || { tail -n 20 "$CACHE/build.log" >&2 && die "the build failed, see $CACHE/build.log"; }
mkdir -p "$OUT" && mv "$WORK/bin" "$OUT/bin"
echo "$OUT/bin"
