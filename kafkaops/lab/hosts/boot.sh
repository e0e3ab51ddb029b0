# The container's first process: makes it the host that ADDRESS and AUTHORIZED say, then systemd.
set -e
printf 'ListenAddress %s\n' "$ADDRESS" > /etc/ssh/sshd_config.d/address.conf
[ -e /etc/ssh/ssh_host_ed25519_key ] || \
  ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
grep -qw "$(hostname)" /etc/hosts || echo "$ADDRESS $(hostname)" >> /etc/hosts
for home in /root /home/ops /home/asks; do
  mkdir -p -m 0700 "$home/.ssh"
  echo "$AUTHORIZED" > "$home/.ssh/authorized_keys"
  chown -R --reference="$home" "$home/.ssh"
done
exec /sbin/init
