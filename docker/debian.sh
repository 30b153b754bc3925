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
