import { at, parseXml } from '../../../formats/xml.ts';

/** PowerShell's error stream in CLIXML form ([MS-PSRP]). Pure. */

const HEAD = '#< CLIXML';
const MAX_WORDS = 4000;

/** Error messages as text. Other text is returned unchanged. */
export function errorWords(stderr: string): string {
  const at0 = stderr.indexOf(HEAD);
  if (at0 === -1) return stderr.trim().slice(0, MAX_WORDS);
  const before = stderr.slice(0, at0).trim();
  const root = parseXml(stderr.slice(at0 + HEAD.length).trim());
  if (root?.name !== 'Objs') return before === '' ? 'its errors cannot be read' : before;
  const lines = at(root, 'S').filter(({ attributes }) => attributes['S'] === 'Error');
  const words = lines.map(({ text }) => unescaped(text)).join(' ');
  return [before, words].join(' ').replaceAll(/\s+/g, ' ').trim().slice(0, MAX_WORDS);
}

/** `_x000D_` is a UTF-16 code unit. */
function unescaped(text: string): string {
  return text
    .replaceAll(/_x([0-9A-Fa-f]{4})_/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    .toWellFormed();
}
