#!/bin/sh
# Makes the models of src/crmnet/weights, from rows to model cards. Files and folders that exist are
# kept, so an interrupted script continues where it stopped.
#
#   benchmarks/weights.sh OUT [TABLES] [--teacher FILE.h5] [--labels N] [--device cuda] [--max-minutes N]
#
#   OUT            folder for everything that is made
#   TABLES         rows from a folder of tables: complex_train.tsv.gz, defined_train.tsv.gz,
#                  dream_train.tsv.gz (columns sequence, expression, source), native_complex_validation.tsv.gz,
#                  Random_complex.csv, Random_testdata_complex_media.txt, orthologous_promoters.tsv.gz.
#                  Default: rows of the data registry (downloads about 5 MB), without native-like promoters
#   --teacher      published weights of DeepATT; default: crmnet data fetch deepatt-vaishnav
#   --labels       promoters that the teacher labels (default 1000000)
#   --device       cpu or cuda, for labels and training
#   --max-minutes  stop training when this time is up, and pack the members that are there
#
# One CPU core with bfloat16 arithmetic trains about 550 rows a second.
# shellcheck disable=SC2086  # splitting of options is intended
set -eu
tables= teacher= labels=1000000 device=auto minutes=
out=$1
shift
while [ $# -gt 0 ]; do
    case $1 in
        --teacher) teacher=$(realpath "$2") && shift 2 ;;
        --labels) labels=$2 && shift 2 ;;
        --device) device=$2 && shift 2 ;;
        --max-minutes) minutes=$2 && shift 2 ;;
        -*) echo "weights.sh: unknown option $1" >&2 && exit 2 ;;
        *) tables=$(realpath "$1") && shift ;;
    esac
done
mkdir -p "$out"
cd "$out"
started=$(date +%s)

# 1. Rows. Families are found by homology in all media together, and split by hash before anything
# else is made from them: training, validation, calibration, test.
if [ -n "$tables" ]; then
    random=$tables/Random_complex.csv native=$tables/native_complex_validation.tsv.gz
    unfiltered=$tables/Random_testdata_complex_media.txt
    like="--native-like $tables/orthologous_promoters.tsv.gz --column sequence=ortho_seq" without=
    [ -f hq.tsv ] || gzip -dc "$tables/complex_train.tsv.gz" | awk -F'\t' 'NR == 1 || $3 == "hq"' > hq.tsv
    hq=hq.tsv
    set -- "$tables/complex_train.tsv.gz" --medium complex --unit "sorting bin" \
        "$tables/defined_train.tsv.gz" --medium defined --unit "sorting bin" \
        "$tables/dream_train.tsv.gz" --medium dream --unit "MAUDE score"
else
    random=random-complex native=native-fragments-complex unfiltered=random-complex-unfiltered
    hq=high-quality-complex like= without="--without native"
    set -- high-quality-complex sswm-complex drift-complex random-defined sswm-defined drift-defined dream-test
    crmnet data fetch "$@" $random $native $unfiltered
fi
[ -d rows ] || crmnet data ingest "$@" -o rows
[ -d native ] || crmnet data ingest "$native" --medium complex --unit "sorting bin" -o native
[ -d random ] || crmnet data ingest "$random" --medium complex -o random
[ -d train ] || crmnet data split rows -o train --held-out held-out --fraction 0.08 \
    --without random $without --level words
[ -d native-promoters ] || crmnet data split native -o native-promoters --without train  # finds families

# The teacher saw noisy labels of the high-quality random promoters, except those of its own test
# file. They neither choose nor calibrate.
[ -d hq ] || crmnet data ingest "$hq" --medium complex -o hq
[ -d hq-seen ] || crmnet data split hq -o hq-seen --without "$unfiltered" --level exact
[ -d unseen ] || crmnet data split held-out -o unseen --without hq-seen --level exact --by family
[ -d validation ] || crmnet data split unseen -o validation --held-out rest --fraction 0.67 --by family
[ -d test ] || crmnet data split rest -o test --held-out calibration --fraction 0.5 --by family

# 2. Labels of the teacher. New promoters share no 20 bases with a test promoter; derived ones come
# from training families alone.
if [ -z "$teacher" ] && [ ! -d deepatt ]; then
    crmnet data fetch deepatt-vaishnav --cache fetched
    teacher=fetched/evolution/DeepAtt_model.h5
fi
[ -d deepatt ] || crmnet models import-keras "$teacher" -o deepatt
kinds="--mix random=0.43 --mix mutants=0.2 --mix crosses=0.13"
[ -z "$like" ] || kinds="$kinds --mix native-like=0.24 $like"
[ -d taught ] || crmnet models distil deepatt train -n "$labels" --no-own $kinds --without native --without random \
    --medium teacher --with-measured --seed 1 -o taught

# 3. Training, within the time.
train() {  # train RUN RECIPE OPTIONS
    run=$1
    shift
    if [ -z "$minutes" ]; then
        crmnet train "$@" -o "$run" --resume --set device=$device
        return
    fi
    left=$((minutes * 60 - $(date +%s) + started))
    [ $left -gt 0 ] || return 0
    timeout --signal INT $left crmnet train "$@" -o "$run" --resume --set device=$device || [ $? -eq 124 ]
}
usable() {  # the given runs that have weights
    for run in "$@"; do [ ! -f "$run/weights.safetensors" ] || printf '%s ' "$run"; done
}
joint="--validation validation --set epochs=3 --set warmup_epochs=1 --set validation_by=family"
train joint-1 yeast --data taught $joint --set seed=1
train tuned-1 yeast --data train --validation validation --from joint-1 --set epochs=3 --set warmup_epochs=0.5 \
    --set learning_rate=0.0006 --set start_learning_rate=0.0001 --set seed=1

# 4. Packed models with their cards.
pack() {  # pack NAME ABOUT MEGABYTES RUNS
    name=$1 about=$2 megabytes=$3
    shift 3
    [ -f "$name.safetensors" ] || crmnet models pack "$@" -o "$name.safetensors" --half --reverse-complement \
        --medium complex --medium defined --medium dream --max-mb "$megabytes" --about "$about"
    crmnet models calibrate "$name.safetensors" calibration --test random --test test --test native-promoters \
        --native native-promoters
}
pack yeast "CRMnets that scan for motifs and read with an LSTM, and their teacher DeepATT" 12 \
    $(usable joint-1 tuned-1) deepatt
