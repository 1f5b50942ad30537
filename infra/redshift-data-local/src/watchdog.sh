# Ends what a program has started once the program is gone. Its end of the pipe closes then, whatever ended it.
# A line adds to what goes, and the same line behind a "-" takes it back: "group SIGNAL ID", "folder PATH".
# Signal 0 lets a group end by itself.
trap '' HUP INT QUIT TERM
all=
while IFS= read -r line; do
    case $line in
    -*) all=$(printf '%s\n' "$all" | grep -Fxv -e "${line#-}") ;;
    *) all=$(printf '%s\n%s' "$all" "$line") ;;
    esac
done

all() { printf '%s\n' "$all" | sed -n "s/^$1 //p"; }
signal_all() { all group | while read -r signal group; do kill -s "${1:-$signal}" -- "-$group"; done; }
is_any_left() { all group | { while read -r _ group; do kill -s 0 -- "-$group" && exit 0; done; exit 1; }; }
wait_for_all() {
    tries=0
    while is_any_left && [ "$tries" -lt "$1" ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}

signal_all
# PostgreSQL itself takes 5 seconds to lose its patience with a session.
wait_for_all 80
signal_all KILL
wait_for_all 20
all folder | while IFS= read -r folder; do rm -rf -- "$folder"; done
