const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = '(?<hour>[01]\\d|2[0-3]):(?<minute>[0-5]\\d):(?<second>[0-5]\\d|60)'

/** The three forms that RFC 9110 section 5.6.7 makes a recipient accept. */
const FORMS: readonly RegExp[] = [
  new RegExp(`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`),
  new RegExp(
    `^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\\d\\d)-${MONTH}-(?<shortYear>\\d\\d) ${TIME} GMT$`,
  ),
  new RegExp(`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`),
]

/** RFC 9110: a two-digit year more than 50 years in the future is one of the past century. */
function fullYear(shortYear: number, now: Date): number {
  const current = now.getUTCFullYear()
  const year = current - (current % 100) + shortYear
  return year > current + 50 ? year - 100 : year
}

/** @returns seconds since 1970, or undefined when the text is not an HTTP-date. */
export function parseHttpDate(text: string, now = new Date()): number | undefined {
  for (const form of FORMS) {
    const parts = form.exec(text)?.groups
    if (parts === undefined) continue
    const { day, month, year, shortYear, hour, minute, second } = parts
    const y = year === undefined ? fullYear(Number(shortYear), now) : Number(year)
    const date = new Date(0)
    date.setUTCFullYear(y, MONTHS.indexOf(month!), Number(day))
    // 31 February rolls over into March.
    if (date.getUTCDate() !== Number(day)) return undefined
    return date.getTime() / 1000 + Number(hour) * 3600 + Number(minute) * 60 + Number(second)
  }
  return undefined
}
