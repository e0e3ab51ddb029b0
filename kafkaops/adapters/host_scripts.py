"""The shell scripts that hosts are sent. Values come as arguments, never inside the text.

For any POSIX sh with GNU coreutils, tar and util-linux. Codes of their own: 44 there is no such
thing, 45 something else is in its place, 46 wrong checksum.
"""

from __future__ import annotations

ABSENT = 44
OTHER = 45
CHECKSUM = 46
TIMED_OUT = 124  # of coreutils' timeout

# To $1: beside it, checked against SHA-512 $3, mode $2, owner $4, fsync, rename. A directory that
# is missing is made for all to enter, whatever umask the login has: versions lie in one.
PLACE = """\
set -e; d=$(dirname "$1"); (umask 022; mkdir -p "$d"); t="$1.kafkaops.$$"
trap 'rm -f "$t"' EXIT; trap 'exit 143' TERM HUP PIPE
(umask 077; %s)
sum=$(sha512sum < "$t"); sum=${sum%%%% *}
[ "$sum" = "$3" ] || { echo "SHA-512 is $sum, not $3" >&2; exit 46; }
[ -z "$4" ] || chown "$4" "$t"
chmod "$2" "$t"; sync "$t"; mv -fT "$t" "$1"; sync "$d"
"""
PUT = PLACE % 'cat > "$t"'
# The address comes by stdin, for it may be a signed one and arguments can be seen.
FETCH = (
    PLACE
    % """\
command -v curl >/dev/null || { echo "there is no curl on the host" >&2; exit 1; }
curl -fsSL --proto =http,https --connect-timeout 10 --retry 2 -K - -o "$t\""""
)
READ = 'test -e "$1" || exit 44; exec cat "$1"'
TAIL = 'test -e "$1" || exit 44; exec tail -n "$2" "$1"'
SHA512 = 'test -e "$1" || exit 44; exec sha512sum < "$1"'
CHANGED = 'test -e "$1" || exit 44; exec stat -L -c %.Y "$1"'
LINK = 'test -L "$1" || exit 44; exec readlink "$1"'
# The last line: what was mounted last covers the others.
MOUNTED = """\
mountpoint -q -- "$1" || exit 44
findmnt --noheadings --raw --output SOURCE --mountpoint "$1" | tail -n 1
"""
FREE = """\
p=$1; while [ ! -e "$p" ] && [ "$p" != / ]; do p=$(dirname "$p"); done
df -B1 --output=avail "$p" | tail -n 1
"""
# One process for all of them: a broker holds a file a segment, ten thousands.
OPEN_FILES = """\
cd "/proc/$1" 2>/dev/null || exit 44
ls -lU fd | sed -n 's/^[^>]* -> //p'
sed -n 's|^[^/]* \\(/.*\\)$|\\1|p' maps
true
"""
# What an unpacking that was killed left beside its place goes first. Whoever logs in may have a
# umask by which the service's user could not enter what is unpacked.
UNPACK = """\
set -e; umask 022; [ ! -d "$2" ] || exit 0
[ ! -e "$2" ] || exit 45
test -e "$1" || exit 44
d=$(dirname "$2"); mkdir -p "$d"; t="$2.kafkaops.part"
trap 'rm -rf "$t"' EXIT; trap 'exit 143' TERM HUP PIPE
rm -rf "$t"; mkdir "$t"
tar -xf "$1" -C "$t" --strip-components=1 --no-same-owner || {
  # tar says only that it wrote less than it meant to
  [ "$(df -B1 --output=avail "$t" | tail -n 1)" -gt 65536 ] || echo "No space left on device" >&2
  exit 1
}
[ -n "$(ls -A "$t")" ] || { echo "nothing is below its top directory" >&2; exit 1; }
[ -z "$3" ] || chown -R "$3" "$t"
sync -f "$t"; mv -T "$t" "$2"; sync "$d"
"""
SWITCH = """\
set -e; if [ -e "$1" ] || [ -L "$1" ]; then [ -L "$1" ] || exit 45; fi
d=$(dirname "$1"); mkdir -p "$d"; t="$1.kafkaops.$$"
trap 'rm -f "$t"' EXIT; trap 'exit 143' TERM HUP PIPE
ln -s "$2" "$t"; mv -fT "$t" "$1"; sync "$d"
"""
REMOVE = 'exec rm -rf --one-file-system -- "$1"'

# The clocks first: systemd gives the start as a time since boot.
UNIT = """\
read up rest < /proc/uptime; echo "Uptime=$up"; echo "Clock=$(date +%s.%N)"
exec systemctl show "$1" -p "$2"
"""
# What was said a moment ago may still be on its way into the journal.
JOURNAL = """\
journalctl --sync 2>/dev/null
exec journalctl --no-pager -q -o cat -n "$2" -u "$1"
"""
# A start limit that was reached would bar it.
START = 'systemctl reset-failed "$1" 2>/dev/null; exec systemctl start "$1"'
# Before a stop. systemd forgets a unit that has ended well and that nothing refers to, and with
# it how it ended: so an active target refers to it. $2 is a stop timeout in seconds, 0 for the
# unit's own. Under /run: it holds until the next boot. Of all drop-ins, wherever they lie, the last
# name holds (systemd.unit(5)): `systemctl edit` makes an override.conf.
STOP_DROP_IN = "zzzz-kafkaops-stop.conf"
BEFORE_STOP = f"""\
set -e; r=/run/systemd/system; mkdir -p $r/multi-user.target.d "$r/$1.d"
printf '[Unit]\\nAfter=%s\\n' "$1" > "$r/multi-user.target.d/kafkaops-$1.conf"
[ "$2" = 0 ] || printf '[Service]\\nTimeoutStopSec=%s\\n' "$2" > "$r/$1.d/{STOP_DROP_IN}"
systemctl daemon-reload
"""

# Agents that are held. The host remembers in HELD what it is to start again, and a transient
# service does so after a sleep, unless it is stopped before. No transient timer: after a reload of
# systemd, which each stop of a node brings, one of systemd 252 elapsed and started nothing. Each
# has a name of its own: the new one is armed before the old one goes. Its command line is free of
# $ and %, which systemd would expand; a sleep that is ended starts and forgets nothing.
HELD = "/run/kafkaops-agents"
SLEEPERS = "kafkaops-agents-*.service"
# units
AGENTS = f"""\
for u; do
  echo "unit $u $(systemctl show -p LoadState "$u" | cut -d= -f2) \
$(systemctl show -p ActiveState "$u" | cut -d= -f2)"
done
[ ! -e {HELD} ] || sed 's/^/held /' {HELD}
systemctl show -p ActiveState '{SLEEPERS}' | sed -n 's/^ActiveState=/sleeper /p'
"""
# seconds
_ARM = f"""\
mine=kafkaops-agents-$(date +%s%N)-$$
systemd-run --quiet --unit="$mine" sh -c \
  "sleep $1 && {{ xargs -r systemctl start --no-block -- < {HELD}; rm -f {HELD}; }}"
systemctl show -p Id '{SLEEPERS}' | sed -n 's/^Id=//p' | grep -vxF "$mine.service" \
  | xargs -r systemctl stop -- || true
"""
AGENTS_ARM = f"set -e; [ -e {HELD} ] || exit 0\n{_ARM}"
# seconds, units
AGENTS_HOLD = f"""\
set -e; touch {HELD}; after=$1; shift
for u; do
  grep -qxF -- "$u" {HELD} && continue
  case $(systemctl show -p ActiveState "$u") in
    *=active|*=activating|*=reloading) echo "$u" >> {HELD} ;;
  esac
done
set -- "$after"
{_ARM}
xargs -r systemctl stop -- < {HELD}
"""
# What was told to start may take a moment to have begun; what failed is not waited for.
AGENTS_BACK = f"""\
set -e; [ -e {HELD} ] || exit 0
xargs -r systemctl start --no-block -- < {HELD}
n=0; while [ $n -lt 25 ]; do
  xargs -r systemctl show -p ActiveState -- < {HELD} | grep -qx ActiveState=inactive || break
  n=$((n + 1)); sleep 0.2
done
rm -f {HELD}
systemctl stop '{SLEEPERS}'
"""

# Over SSM: the command runs once however often it is delivered, its output stays on the host,
# and what fits goes out at once. Arguments: token, bytes of stdin (in TOKEN.in; 0 for none),
# bytes of the first page of stdout and of stderr, command. All below a directory of root's own.
SSM_DIR = "/run/kafkaops-ssm"
SSM_RUN = f"""\
p={SSM_DIR}; (umask 077; mkdir -p $p); d="$p/$1"; size=$2; o=$3; e=$4; shift 4
find $p -mindepth 1 -maxdepth 1 -mmin +60 -exec rm -rf {{}} + 2>/dev/null
if mkdir "$d" 2>/dev/null; then
  in=/dev/null
  if [ "$size" != 0 ]; then
    in="$d.in"; [ "$(stat -c %s "$in")" = "$size" ] || {{ echo "stdin is not whole" >&2; exit 1; }}
  fi
  "$@" < "$in" > "$d/out" 2> "$d/err"; code=$?
  gzip -c "$d/out" > "$d/out.gz" && gzip -c "$d/err" > "$d/err.gz" || exit 1
  rm -f "$d/out" "$d/err" "$d.in"; echo $code > "$d/code.part"; mv "$d/code.part" "$d/code"
else
  while [ ! -e "$d/code" ]; do sleep 0.2; done
fi
echo "kafkaops $(cat "$d/code") $(stat -c %s "$d/out.gz") $(stat -c %s "$d/err.gz")"
head -c "$o" "$d/out.gz" | base64 -w 0; echo; head -c "$e" "$d/err.gz" | base64 -w 0; echo
"""
# file, offset, bytes
SSM_PAGE = f'tail -c "+$(($2 + 1))" "{SSM_DIR}/$1" | head -c "$3" | base64 -w 0; echo'
# file, offset, base64: at its own offset, so that a chunk delivered twice does no harm.
SSM_CHUNK = f"""\
set -e; (umask 077; mkdir -p {SSM_DIR})
printf %s "$3" | base64 -d | \
  dd of="{SSM_DIR}/$1" bs=65536 seek="$2" oflag=seek_bytes conv=notrunc status=none
"""
