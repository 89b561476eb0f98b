#!/usr/bin/env bash
# A Slurm cluster of two nodes on this machine, as root: for tests of what runs on one.
#
#   cluster.sh install               installs Slurm and munge with apt-get, where they are not there
#   cluster.sh up DIR PORT...        starts it; three free ports; prints the path of its slurm.conf
#   cluster.sh node DIR NAME         starts the daemon of a node (node1, node2) again
#   cluster.sh lose DIR NAME [steps] kills the daemon of a node, alone or with what runs there
#   cluster.sh down DIR              ends every process of it
#
# Nodes are daemons with a port each. There is no accounting and no control group, so that a container will do; times
# are as short as they can be, so that a node that is lost is noticed soon.
set -euo pipefail

install_packages() {
    if type munged slurmctld slurmd sbatch squeue > /dev/null 2>&1; then return; fi
    type apt-get > /dev/null
    local get=(timeout 100 apt-get -qq -o DPkg::Lock::Timeout=60)
    local packages=(munge slurmctld slurmd slurm-client)
    export DEBIAN_FRONTEND=noninteractive
    "${get[@]}" install --yes --no-install-recommends "${packages[@]}" > /dev/null 2>&1 && return
    "${get[@]}" update > /dev/null
    "${get[@]}" install --yes --no-install-recommends "${packages[@]}" > /dev/null
}

up() {
    local dir=$1 host
    host=$(hostname -s)
    mkdir -p "$dir/state" "$dir/munge"
    dd if=/dev/urandom of="$dir/munge/key" bs=64 count=16 status=none
    chmod 400 "$dir/munge/key"
    cat > "$dir/slurm.conf" << CONF
ClusterName=onejump
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$2
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=5
KillWait=2
CompleteWait=0
MinJobAge=600
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$3 CPUs=1 RealMemory=1000
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$4 CPUs=1 RealMemory=1000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge.pid" \
        --log-file="$dir/munge/log" --seed-file="$dir/munge/seed" 2> "$dir/munge.err"
    SLURM_CONF="$dir/slurm.conf" slurmctld -i
    node "$dir" node1
    node "$dir" node2
    echo "$dir/slurm.conf"
}

node() {
    SLURM_CONF="$1/slurm.conf" slurmd -N "$2"
}

# The processes of the jobs of a cluster, on one node or on all; first the daemons of their steps, which would tell of
# the steps' end.
steps() {
    local environment process parent daemons=() others=()
    for process in /proc/[0-9]*; do
        environment=$({ tr '\0' '\n' < "$process/environ"; } 2> /dev/null) || continue
        grep -qxF "SLURM_CONF=$1/slurm.conf" <<< "$environment" || continue
        # One whose step has ended may still try to tell.
        [ -n "${2:-}" ] || [ "$(cat "$process/comm")" != slurmstepd ] || daemons+=("${process#/proc/}")
        grep -qxE "SLURMD_NODENAME=${2:-.*}" <<< "$environment" || continue
        others+=("${process#/proc/}")
        parent=$(awk '/^PPid/ { print $2 }' "$process/status") || continue
        [ "$(cat "/proc/$parent/comm")" != slurmstepd ] || daemons+=("$parent")
    done 2> /dev/null
    echo "${daemons[@]}" "${others[@]}"
}

kill_all() {
    for process in "$@"; do
        [ "$process" = $$ ] || kill -9 "$process" 2> /dev/null || true
    done
}

# A node is lost: its daemon alone, or with all that it has started.
lose() {
    kill -9 "$(cat "$1/$2.pid")"
    [ "${3:-}" != steps ] || kill_all $(steps "$1" "$2")
}

down() {
    local name daemons=()
    for name in node1 node2 slurmctld munge; do
        [ ! -s "$1/$name.pid" ] || daemons+=("$(cat "$1/$name.pid")")
    done
    kill "${daemons[@]}" 2> /dev/null || true
    kill_all $(steps "$1")
    sleep 1
    kill_all "${daemons[@]}"
}

case $1 in
install) install_packages ;;
up | node | lose | down) "$@" ;;
*)
    sed -n '2,10s/^# \?//p' "$0"
    exit 2
    ;;
esac
