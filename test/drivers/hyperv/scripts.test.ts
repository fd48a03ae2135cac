import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ANSWERS, parseAnswer } from '../../../src/drivers/hyperv/answers.ts';
import { powershellArgs, SCRIPT_NAMES, scriptText } from '../../../src/drivers/hyperv/scripts.ts';

/** The longest command line of CreateProcess, characters. */
const LONGEST_LINE = 32_767;

describe('scripts', () => {
  test('a value is data, whatever is in it', () => {
    const values = fc.oneof(
      fc.constantFrom("'; Remove-Item", '$(Stop-VM *)', '"`n', '@DATA@', '$&', "$'", '\u2019; rm'),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...SCRIPT_NAMES), values, (name, value) => {
        const empty = scriptText(name, {});
        const text = scriptText(name, { id: value });
        const data = /FromBase64String\('([A-Za-z0-9+/=]*)'\)/;
        // Nothing differs but the data, whose alphabet PowerShell does not read.
        assert.equal(text.replace(data, ''), empty.replace(data, ''));
        const given = Buffer.from(data.exec(text)?.[1] ?? '', 'base64').toString('utf8');
        assert.deepEqual(JSON.parse(given), JSON.parse(JSON.stringify({ id: value })));
      }),
    );
  });

  test('every script fits a command line, even with its longest values', () => {
    for (const name of SCRIPT_NAMES) {
      const long = 'x'.repeat(256);
      const args = powershellArgs(scriptText(name, { id: long, destination: long, storage: long }));
      assert.ok(args.join(' ').length < LONGEST_LINE, `${name}: ${args.join(' ').length}`);
    }
  });

  test('brackets of every script are balanced', () => {
    for (const name of SCRIPT_NAMES) {
      const text = scriptText(name, {}).replaceAll(/'[^'\n]*'/g, "''");
      for (const [open, close] of ['{}', '()'].map((pair) => pair.split(''))) {
        const count = (mark: string | undefined): number => text.split(mark ?? '').length;
        assert.equal(count(open), count(close), `${name}: ${open}${close}`);
      }
    }
  });
});

describe('answers of scripts', () => {
  const said = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');

  test('an answer, an error, and any other output are distinguished', () => {
    assert.deepEqual(parseAnswer(said({ returned: 4096 }), ANSWERS.start), {
      value: { returned: 4096 },
    });
    const error = { stage: 'call', message: 'no', hresult: -1, category: 'X' };
    assert.deepEqual(parseAnswer(said({ error }), ANSWERS.start), { error });
    assert.equal(parseAnswer(said({ returned: -1 }), ANSWERS.start), undefined);
    assert.equal(parseAnswer('{"returned":0}', ANSWERS.start), undefined);
    assert.equal(parseAnswer('', ANSWERS.start), undefined);
  });

  test('any text is an answer or none', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.json().map((text) => said(text)),
    );
    fc.assert(
      fc.property(texts, (text) => {
        for (const name of SCRIPT_NAMES) {
          const answer = parseAnswer<unknown>(text, ANSWERS[name]);
          assert.ok(answer === undefined || 'value' in answer || 'error' in answer);
        }
      }),
    );
  });
});
