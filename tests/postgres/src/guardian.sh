# Runs a server for as long as the other end of the standard input is open, and then removes its files. However a
# process ends, abort() and kill -9 included, its end of the pipe is closed.
#
# $1: the folder of the server, to be removed. The rest: the command. Each line of input starts the server once more,
# and its process id is printed. What the server prints goes to the standard error.
folder=$1
shift
server=

is_running() {
    read -r _ _ state _ <"/proc/$server/stat" && [ "$state" != Z ]
} 2>/dev/null

while read -r _; do
    # Reaps the server before this one. As a zombie it would still own its lock file, and the next one would not start.
    [ -z "$server" ] || wait "$server"
    "$@" >&2 &
    server=$!
    echo "$server"
done
if [ -n "$server" ]; then
    # Again and again: a server that has just been started does not handle the signal yet, and would miss it.
    while is_running; do
        kill -s QUIT "$server"
        # A stopped process handles no signal but this one.
        kill -s CONT "$server"
        for stat in /proc/[0-9]*/stat; do
            read -r process _ _ parent _ <"$stat" && [ "$parent" = "$server" ] && kill -s CONT "$process"
        done
        sleep 0.02
    done 2>/dev/null
    wait "$server"
fi
rm -rf "$folder"
