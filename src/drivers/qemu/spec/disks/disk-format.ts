import type { BlockFacts } from './disk-facts.ts';
import { isBackingGiven, isFormatStated, type ImageNodes } from './disk-node.ts';

export function formatProblems({ image, imageOptions }: ImageNodes, hasBacking: boolean): string[] {
  const isLower = imageOptions.nested && imageOptions.given['driver'] === undefined;
  // A read-only image keeps its probed format, which is sent to the destination.
  const isStated = isLower || image.readOnly || isFormatStated(imageOptions);
  const silent = hasBacking && image.backing !== undefined && image.backing.format === undefined;
  return [
    ...(isStated ? [] : [`QEMU guessed that it is ${image.driver}`]),
    ...(silent && !isBackingGiven(imageOptions)
      ? ['its header does not say the format of its backing file']
      : []),
  ];
}

/** Another file besides the image's file and backing file. The destination would open it only by its name. */
export function otherFile({ image, file }: ImageNodes, block: BlockFacts): string | undefined {
  const known = (parent: string, role: string): boolean =>
    parent === image.name && (role === 'backing' || (role === 'file' && image !== file));
  const other = block.edges.find(({ parent, role }) => {
    return (parent === image.name || parent === file.name) && !known(parent, role);
  });
  if (other === undefined && image.qcow2?.dataFile !== true) return undefined;
  const name = block.nodes.find((node) => node.name === other?.child)?.file;
  const role = other?.role ?? 'data-file';
  return `it needs ${name ?? 'another file'} as its \`${role}\`, which does not move with it`;
}
