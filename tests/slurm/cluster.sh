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

# The daemons of a node's steps have the name of the node in their environment, as the steps have.
node() {
    SLURM_CONF="$1/slurm.conf" ONEJUMP_NODE=$2 slurmd -N "$2"
}

# The processes of a cluster whose environment has another line too.
processes() {
    local conf=SLURM_CONF=$1/slurm.conf environment
    for process in /proc/[0-9]*; do
        environment=$({ tr '\0' '\n' < "$process/environ"; } 2> /dev/null) || continue
        if grep -qxF "$conf" <<< "$environment" && grep -qxE "${2:-.*}" <<< "$environment"; then
            echo "${process#/proc/}"
        fi
    done
}

kill_all() {
    for process in "$@"; do
        [ "$process" = $$ ] || kill -9 "$process" 2> /dev/null || true
    done
}

# A node is lost: its daemon alone, or first the daemons of its steps, which would tell of the steps' end, and the steps.
lose() {
    kill -9 "$(cat "$1/$2.pid")"
    if [ "${3:-}" = steps ]; then
        kill_all $(processes "$1" "ONEJUMP_NODE=$2")
        kill_all $(processes "$1" "SLURMD_NODENAME=$2")
    fi
}

down() {
    for daemon in node1 node2 slurmctld munge; do
        [ ! -s "$1/$daemon.pid" ] || kill "$(cat "$1/$daemon.pid")" 2> /dev/null || true
    done
    kill_all $(processes "$1")
}

case $1 in
install) install_packages ;;
up | node | lose | down) "$@" ;;
*)
    sed -n '2,10s/^# \?//p' "$0"
    exit 2
    ;;
esac
