import { at, type XmlElement } from '../../formats/xml.ts';

const OF_DOMAIN = new Set(['title', 'description', 'cputune', 'numatune', 'commandline']);

/**
 * The elements of a definition that a person writes and libvirt never adds by itself, each as one text, sorted. The order of
 * elements and of attributes, quotes, comments and the space between elements make no difference. Pure.
 */
export function writtenParts(root: XmlElement): string[] {
  const own = root.children.filter(({ name }) => OF_DOMAIN.has(name));
  const all = [...own, ...at(root, 'devices', 'hostdev')];
  return all.map((each) => JSON.stringify(canonical(each))).toSorted();
}

function canonical({ name, attributes, children, text }: XmlElement): unknown[] {
  const sorted = Object.entries(attributes).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return [name, sorted, text, children.map(canonical)];
}
