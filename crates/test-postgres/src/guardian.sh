# Runs a server for as long as somebody holds the other end of the standard input, and removes its files then. The end
# of the input is the one thing that every end of a process brings about, abort() and kill -9 included.
#
# $1: the folder of the server, to be removed. The rest: the command. Each line of input starts it once more; each
# time its process id is printed. What the server says goes where the standard error goes.
folder=$1
shift
server=
while read -r _; do
    "$@" >&2 &
    server=$!
    echo "$server"
done
if [ -n "$server" ]; then
    kill -s QUIT "$server" 2>/dev/null
    # What is stopped hears nothing but this.
    kill -s CONT "$server" 2>/dev/null
    for stat in /proc/[0-9]*/stat; do
        read -r process _ _ parent _ <"$stat" && [ "$parent" = "$server" ] && kill -s CONT "$process"
    done 2>/dev/null
    wait "$server"
fi
rm -rf "$folder"
