#!/bin/sh
# Makes the models of src/crmnet/weights, from rows to model cards. Files and folders that exist are kept.
#
#   benchmarks/weights.sh OUT          rows from the data registry (downloads about 5 MB)
#   benchmarks/weights.sh OUT TABLES   rows from a folder of tables: complex_train.tsv.gz,
#                                      defined_train.tsv.gz, dream_train.tsv.gz (columns sequence,
#                                      expression), native_complex_validation.tsv.gz, Random_complex.csv
#
# Takes about an hour and a half on one CPU core with bfloat16 arithmetic.
# shellcheck disable=SC2086  # splitting of options is intended
set -eu
out=$1 tables=${2:-}
mkdir -p "$out"
cd "$out"

if [ -n "$tables" ]; then
    random=$tables/Random_complex.csv native=$tables/native_complex_validation.tsv.gz without=
    set -- "$tables/complex_train.tsv.gz" --medium complex --unit "sorting bin" \
        "$tables/defined_train.tsv.gz" --medium defined --unit "sorting bin" \
        "$tables/dream_train.tsv.gz" --medium dream --unit "MAUDE score"
else
    random=random-complex native=native-fragments-complex without="--without native"
    set -- high-quality-complex sswm-complex drift-complex random-defined sswm-defined drift-defined dream-test
    crmnet data fetch "$@" $random $native
fi

# Training rows, and families for calibration and tests. Rows that share something with the random
# test set are removed. Rows of the registry that share something with a native fragment are removed
# too; the tables have no such rows except a few of low complexity.
[ -d rows ] || crmnet data ingest "$@" -o rows
[ -d native ] || crmnet data ingest "$native" --medium complex --unit "sorting bin" -o native
[ -d random ] || crmnet data ingest "$random" --medium complex -o random
[ -d train ] || crmnet data split rows -o train --held-out held-out --fraction 0.05 \
    --without random $without --level words
[ -d calibration ] || crmnet data split held-out -o calibration --held-out test --fraction 0.5 --by family
[ -d native-promoters ] || crmnet data split native -o native-promoters --without train  # finds families

# yeast: three networks. They differ in the seed, and so in their validation families, and in the
# number of epochs.
crmnet train yeast --data train -o member-1 --resume --set seed=1
crmnet train yeast --data train -o member-2 --resume --set seed=3 --set epochs=12 --set warmup_epochs=3
crmnet train yeast --data train -o member-3 --resume --set seed=4
[ -f yeast.safetensors ] || crmnet models pack member-1 member-2 member-3 -o yeast.safetensors --half --reverse-complement --max-mb 12 \
    --about "three CRMnets that scan for motifs and read with an LSTM, trained on 77,000 high-quality rows in three media"
crmnet models calibrate yeast.safetensors calibration --test random --test test --test native-promoters \
    --native native-promoters

# yeast-fast: a small network trained on predictions of yeast.
[ -d soft ] || crmnet models distil yeast.safetensors train -o soft -n 200000 --precision bf16
crmnet train yeast-fast --data soft -o student --resume
[ -f yeast-fast.safetensors ] || crmnet models pack student -o yeast-fast.safetensors --half --max-mb 2 \
    --about "a slim crmnet that learned from yeast's predictions"
crmnet models calibrate yeast-fast.safetensors calibration --test random --test test --test native-promoters \
    --native native-promoters
