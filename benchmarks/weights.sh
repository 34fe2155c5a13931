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
[ -d rest-of-rows ] || crmnet data split rows -o rest-of-rows --held-out held-out --fraction 0.08 \
    --without random $without --level words

# The teacher saw noisy labels of the high-quality random promoters, except those of its own test
# file. Those that it saw neither choose nor calibrate, and those that it did not see are no training
# rows: they are the only random promoters that can choose and calibrate.
[ -d hq ] || crmnet data ingest "$hq" --medium complex -o hq
[ -d hq-seen ] || crmnet data split hq -o hq-seen --without "$unfiltered" --level exact
[ -d hq-unseen ] || crmnet data split hq -o hq-unseen --without hq-seen --without random --level exact
[ -d train ] || crmnet data split rest-of-rows -o train --without hq-unseen --level words
[ -d unseen ] || crmnet data split held-out -o unseen --without hq --level exact --by family
[ -d validation ] || crmnet data split unseen -o validation --held-out rest --fraction 0.67 --by family
[ -d test ] || crmnet data split rest -o test --held-out calibration --fraction 0.5 --by family
[ -d hq-calibration ] || crmnet data split hq-unseen -o hq-calibration --held-out hq-validation --fraction 0.35 --by family
# Trajectories and designed promoters were measured in sorts with a narrower scale than random and
# native promoters, so they do not calibrate medium complex.
[ -d other-media ] || crmnet data split calibration -o other-media --by family --medium defined --medium dream
[ -d calibrate ] || crmnet data merge hq-calibration other-media -o calibrate
[ -d choose ] || crmnet data merge validation hq-validation -o choose
# One fifth of the native families helps to calibrate, the other four fifths are a test.
[ -d native-test ] || crmnet data split native -o native-test --held-out native-calibration --fraction 0.2
[ -d native-promoters ] || crmnet data merge native-test native-calibration -o native-promoters  # with families
[ -d scale ] || crmnet data merge hq-calibration native-calibration -o scale
[ -d test-complex ] || crmnet data split test -o test-complex --by family --medium complex

# 2. Labels of the teacher, for promoters that share no 20 bases with a measured one.
if [ -z "$teacher" ] && [ ! -d deepatt ]; then
    crmnet data fetch deepatt-vaishnav --cache fetched
    teacher=fetched/evolution/DeepAtt_model.h5
fi
[ -d deepatt ] || crmnet models import-keras "$teacher" -o deepatt
kinds="--mix random=0.6"
[ -z "$like" ] || kinds="$kinds --mix native-like=0.4 $like"
[ -d labelled ] || crmnet models distil deepatt train -n "$labels" --no-own $kinds --without native --without random \
    --without rows --medium complex --seed 11 -o labelled

# Labels beside measured rows, also for mutants and crosses of the measured rows: half as many.
kinds="--mix random=0.43 --mix mutants=0.2 --mix crosses=0.13"
[ -z "$like" ] || kinds="$kinds --mix native-like=0.24 $like"
[ -d beside ] || crmnet models distil deepatt train -n $((labels / 2)) --no-own $kinds --without native --without random \
    --without hq-unseen --medium teacher --with-measured --seed 1 -o beside

# 3. Training, within the time: measured rows alone; the teacher's labels; labels and measured rows
# together; and measured rows after that.
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
taught() {  # taught RUN SETTINGS: training on the labels alone
    run=$1
    shift
    train "$run" yeast --data labelled "$@" --set epochs=1 --set warmup_epochs=0.25 --set validation_by=family \
        --set validation_fraction=0.003 --set even_families=0 --set seed=11
}
usable() {  # the given runs that have weights
    for run in "$@"; do [ ! -f "$run/weights.safetensors" ] || printf '%s ' "$run"; done
}
train measured yeast --data train --validation choose --set seed=21
taught taught
[ -z "$(usable taught)" ] || train joint yeast --data beside --validation choose --from taught --set epochs=2 \
    --set warmup_epochs=0.3 --set learning_rate=0.002 --set seed=2
[ -z "$(usable joint)" ] || train tuned yeast --data train --validation choose --from joint --set epochs=3 \
    --set warmup_epochs=0.5 --set learning_rate=0.0006 --set start_learning_rate=0.0001 --set seed=3
# The parts of the paper: transformer and decoder in place of the LSTM.
taught taught-transformer --set recurrent=0 --set transformer_blocks=2 --set heads=4 --set key_dim=32 \
    --set position=additive --set norm=pre --set decoder=[96] --set tail=[64]
[ -z "$(usable taught-transformer)" ] || train transformer yeast --data train --validation choose --from taught-transformer \
    --set epochs=5 --set warmup_epochs=0.5 --set learning_rate=0.001 --set start_learning_rate=0.0001 --set seed=32
members=$(usable joint tuned transformer)
[ -n "$members" ] || members=$(usable measured)

# 4. Packed models with their cards. The scale of complex medium and the intervals come from rows
# on which no member was trained.
pack() {  # pack NAME MEGABYTES MEDIA ABOUT NOTE RUNS
    name=$1 megabytes=$2 about=$4 note=$5 media=
    for medium in $3; do media="$media --medium $medium"; done
    shift 5
    [ "$name" != yeast ] || media="$media --reverse-complement"
    case " $* " in  # labels do not cover dream, so joint leaves it to a member that measured rows taught last
        *" joint tuned "*) media="$media --only joint=complex --only joint=defined" ;;
    esac
    [ ! -f "$name.safetensors" ] || return 0
    mkdir -p unscaled
    # Only a time limit leaves runs that are not finished.
    crmnet models pack "$@" -o "unscaled/$name.safetensors" --overwrite --half --max-mb "$megabytes" --unfinished $media \
        --about "$about" --note "$note"
    crmnet models rescale "unscaled/$name.safetensors" scale -o "$name.safetensors" 2> rescale.log && return
    cat rescale.log >&2
    # Where no line lowers the error, the scale is right as it is. Any other error ends the script.
    grep -q "lowers the error of other families" rescale.log || return 1
    cp "unscaled/$name.safetensors" "unscaled/$name.json" .
}
card() {  # card NAME OTHER TEST
    [ -f "$1.safetensors" ] || return 0
    beside=
    [ ! -f "$2.safetensors" ] || beside="--beside $2.safetensors"
    crmnet models calibrate "$1.safetensors" calibrate --unlike native-calibration --differences calibration $beside \
        --test random --test "$3" --test native-promoters --test native-test --native native-promoters
}
taught_by="learned from the predictions of DeepATT (Vaishnav et al. 2022, Nature 603:455; MIT licence), which was trained on \
30.7 million promoters, for random and native-like promoters"
judges="One can judge designs that the other made: the labels are others, but assay, construct and organism are the same, and \
their errors correlate (see the tests)."
all="complex defined dream"
pack yeast-measured 2.5 "$all" "a CRMnet that scans for motifs and reads with an LSTM, trained on measured rows in three media alone" \
    "It has learned from measured rows alone, and yeast-taught from the labels of a published network alone. $judges" measured
[ -z "$(usable taught)" ] || pack yeast-taught 2.5 complex "a CRMnet that scans for motifs and reads with an LSTM, trained on labels of the published network DeepATT alone" \
    "It has $taught_by that share no 20 bases with a measured row. So it shares DeepATT's errors. Only the scale of its output was fitted to measured rows. \
yeast-measured has learned from measured rows alone. $judges" taught
if [ "$members" = "measured " ]; then  # the time was up before a network had learned labels
    pack yeast 12 "$all" "a CRMnet that scans for motifs and reads with an LSTM, trained on measured rows alone; and DeepATT" \
        "DeepATT (Vaishnav et al. 2022, Nature 603:455; MIT licence), which was trained on 30.7 million promoters, is a member. \
So yeast shares DeepATT's errors." measured deepatt
else
    reads="read with an LSTM"
    [ -z "$(usable transformer)" ] || reads="$reads, or with the paper's transformer and decoder"
    pack yeast 12 "$all" "CRMnets that scan for motifs and $reads, taught by DeepATT and by measured rows; and DeepATT" \
        "Its CRMnets have $taught_by and for mutants and crosses of measured rows, and from measured rows. DeepATT itself is \
a member. So yeast shares DeepATT's errors." $members deepatt
fi
card yeast-measured yeast-taught test
card yeast-taught yeast-measured test-complex
card yeast yeast-measured test

# 5. The fast model: DeepATT with an output for each medium learns labels of yeast for measured
# promoters, their mutants and crosses, and others.
kinds="--mix random=0.4 --mix mutants=0.25 --mix crosses=0.18"
[ -z "$like" ] || kinds="$kinds --mix native-like=0.17 $like"
[ -d soft ] || crmnet models distil yeast.safetensors train -n $((labels * 45 / 100)) $kinds --without native --without random \
    --precision bf16 --seed 51 -o soft
train fast deepatt --data soft --validation choose --from deepatt --set model.dropout=0 --set epochs=6 --set batch_size=256 \
    --set schedule=one-cycle --set warmup_epochs=0.3 --set learning_rate=0.0015 --set start_learning_rate=0.0001 \
    --set final_learning_rate=0.000005 --set scale_learning_rate=false --set seed=63
[ -z "$(usable fast)" ] || pack yeast-fast 2 "$all" "the published network DeepATT, taught further by yeast in three media" \
    "It has started from DeepATT (Vaishnav et al. 2022, Nature 603:455; MIT licence), which was trained on 30.7 million promoters, \
and learned from the predictions of yeast. So it shares the errors of both." fast
card yeast-fast yeast-measured test
