/** Labels of an axis of time: a clock of 24 hours, and the day where a new one begins. Pure but for the time zone. */
const DAY_S = 86_400;
const MINUTE_S = 60;
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const clockOf = (hasSeconds: boolean): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    ...(hasSeconds ? { second: '2-digit' as const } : {}),
    hourCycle: 'h23',
  });
const MINUTES = clockOf(false);
const SECONDS = clockOf(true);

/** One label for each of `atS` (s since 1970, rising), which lie `stepS` apart. */
export function timeLabels(atS: readonly number[], stepS: number): string[] {
  let dayBefore = '';
  return atS.map((each) => {
    const date = new Date(each * 1000);
    const day = DAY.format(date);
    const isNew = day !== dayBefore;
    dayBefore = day;
    if (stepS >= DAY_S) return isNew ? day : '';
    const clock = (stepS < MINUTE_S ? SECONDS : MINUTES).format(date);
    return isNew ? `${clock}\n${day}` : clock;
  });
}
