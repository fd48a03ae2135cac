#!/bin/sh
# One process per connection: its count lives in memory only, so an unbroken count proves that memory
# and connection both came along.
count=0
while read -r line; do
  count=$((count + 1))
  echo "$count $line"
done
