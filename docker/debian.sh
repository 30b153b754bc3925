# Sourced by the scripts that make a Debian of their own: where this machine takes packages from, for whichever release.

# mirror LABEL prints the address of this machine's mirror for Debian or Debian-Security.
mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Label: $1" 2>/dev/null | head -n 1; }

# sources SUITE prints a sources.list of that release.
sources() {
  local security
  security=$(mirror Debian-Security)
  printf 'deb %s %s main\n' "$(mirror Debian)" "$1" "$(mirror Debian)" "$1-updates"
  [ -z "$security" ] || printf 'deb %s %s-security main\n' "$security" "$1"
}

# write_sources SUITE gives the release in $chroot this machine's mirrors and proxies, for its own release.
write_sources() {
  sources "$1" >"$chroot/etc/apt/sources.list"
  apt-config dump | grep -iE '^Acquire::(http|https)::' >"$chroot/etc/apt/apt.conf.d/99-acquire" || true
  cp -L /etc/resolv.conf /etc/hosts "$chroot/etc/"
  cp -L /etc/ssl/certs/ca-certificates.crt "$chroot/etc/ssl/certs/" # a network may have authorities of its own
  echo force-unsafe-io >"$chroot/etc/dpkg/dpkg.cfg.d/unsafe-io"     # nothing here outlives a power cut
}

# copy_tree puts what git knows of the tree in $root, and what is new in it, into the release in $chroot.
copy_tree() {
  rm -rf "$chroot/src/ninefold"
  mkdir -p "$chroot/src/ninefold"
  (cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null | tar -cf - --no-recursion -T -) |
    tar -xf - -C "$chroot/src/ninefold"
  mkdir -p "$chroot/src/ninefold/bin/tools"
  [ ! -d "$root/bin/tools" ] || find "$root/bin/tools/" -maxdepth 1 -type f -exec cp -t "$chroot/src/ninefold/bin/tools" {} +
}

# readonly_bind FROM TO: a bind mount that cannot be written through.
readonly_bind() {
  [ -e "$1" ] || return 0
  mkdir -p "$2"
  mount --bind "$1" "$2"
  mount -o remount,bind,ro "$2"
}
