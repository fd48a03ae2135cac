import { contextWith, type Context, type Output } from './context.ts';

export const PLAIN: Readonly<Record<string, string>> = {
  '✔': '+',
  '✘': 'x',
  '…': '~',
  '→': '>',
  '█': '#',
  '░': '.',
  '’': "'",
  '‘': "'",
  '“': '"',
  '”': '"',
  '–': '-',
  '°': ' ',
  '\ufffd': '?',
};
const MARKS = new RegExp(`[${Object.keys(PLAIN).join('')}]`, 'gu');

/** Tells whether the environment names a character set without such marks. Default: UTF-8. */
function isAscii({ LC_ALL, LC_CTYPE, LANG }: Context['env']): boolean {
  const named = [LC_ALL, LC_CTYPE, LANG].find((each) => each !== undefined && each !== '');
  return named !== undefined && !/utf-?8/i.test(named);
}

export function inLocale(context: Context): Context {
  if (!isAscii(context.env)) return context;
  return contextWith(context, { out: plain(context.out), err: plain(context.err) });
}

function plain(output: Output): Output {
  return {
    write: (text) => output.write(text.replaceAll(MARKS, (mark) => PLAIN[mark] ?? '?')),
    isTerminal: output.isTerminal,
    columns: () => output.columns(),
    rows: () => output.rows(),
  };
}
