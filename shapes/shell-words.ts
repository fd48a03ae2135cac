/** The words of a line as a shell reads it: quotes of both kinds, and lines that end in a backslash. Pure. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (const letter of line.replaceAll('\\\n', ' ')) {
    if (quote !== undefined) {
      if (letter === quote) quote = undefined;
      else word = `${word ?? ''}${letter}`;
    } else if (letter === "'" || letter === '"') {
      quote = letter;
      word ??= '';
    } else if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = `${word ?? ''}${letter}`;
  }
  if (quote !== undefined) throw new Error(`a quote ${quote} is never closed`);
  return word === undefined ? words : [...words, word];
}
