package main

import "github.com/understudy-ha/understudy/drill"

// fillScript makes five datasets below the pool's root, among them a volume,
// fills them, and prints a line about each.
const fillScript = drill.DeviceScript + `
zfs create tank/documents
zfs create "tank/old recipes"
zfs create -o compression=lz4 tank/photos
zfs create tank/media
zfs create -V 16m tank/disk

cp /etc/services /etc/ssh/moduli /tank/documents/
mkdir -p /tank/documents/letters
for i in 1 2 3; do echo "Dear reader, this is letter $i." >"/tank/documents/letters/letter $i.txt"; done
ln -s letters/letter\ 1.txt /tank/documents/newest
echo "Quark, Eier, Zucker" >"/tank/old recipes/Käsekuchen – März.txt"
echo "Flour, water, salt" >"/tank/old recipes/bread.txt"
for i in 1 2 3 4; do head -c 1500000 /dev/urandom >"/tank/photos/IMG_000$i.jpg"; done
for i in 1 2; do head -c 1000000 /dev/urandom >"/tank/media/song $i.flac"; done

disk=$(device tank/disk)
tar -cf - -C /etc . 2>/dev/null | head -c 3000000 | dd of="$disk" bs=64k conv=notrunc,fsync status=none || true
sync

for dataset in documents "old recipes" photos media; do
	printf 'tank/%-12s  %d files, %5s\n' "$dataset" "$(find "/tank/$dataset" -type f | wc -l)" "$(du -sh --apparent-size "/tank/$dataset" | cut -f1)"
done
printf 'tank/%-12s  a volume of 16M with an archive on it\n' disk
`

// changeScript changes the files of fillScript and prints the changes.
const changeScript = `
echo "P.S. And one thing more." >>"/tank/documents/letters/letter 2.txt"
rm "/tank/documents/letters/letter 3.txt"
head -c 900000 /dev/urandom >/tank/photos/IMG_0005.jpg
mv /tank/photos/IMG_0001.jpg "/tank/photos/the good one.jpg"
echo "Und eine Prise Salz." >>"/tank/old recipes/Käsekuchen – März.txt"
sync
echo "a letter longer, one gone; a photo more, one renamed; a recipe better"
`
