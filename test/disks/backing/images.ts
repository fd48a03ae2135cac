/** The beginning of a qcow2 image on a backing file of that name, which is written at `at`. */
export function overlayOf(name: string, at = 0x1f8): Buffer {
  const image = Buffer.alloc(at + name.length + 64);
  image.writeUInt32BE(0x51_46_49_fb, 0);
  image.writeUInt32BE(3, 4);
  image.writeBigUInt64BE(BigInt(at), 8);
  image.writeUInt32BE(name.length, 16);
  image.write(name, at);
  return image;
}
