/** What free text must not do to a line of KTAP. Rules: Documentation/dev-tools/ktap.rst, "Test case result lines". */

const LINE_BREAKS = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/;

/** A test's name: one line and no '#', which would begin the directive. */
export function nameText(name: string): string {
  return oneLine(name).replaceAll('#', '_') || 'unnamed';
}

/**
 * What stands behind a directive. A '#' would be legal here, but the kernel's parser looks for the last " # SKIP" of
 * the line (tools/testing/kunit/kunit_parser.py, TEST_RESULT_SKIP).
 */
export function reasonText(reason: string): string {
  return oneLine(reason).replaceAll('#', '_');
}

/** The lines of a diagnostic, each already begun with '#'. */
export function diagnosticLines(text: string): string[] {
  return text.split(LINE_BREAKS).map((line) => {
    if (line.trim() === '') return '#';
    // "# Subtest:" opens a nested test for the kernel's parser; one more space makes it prose again.
    return line.startsWith('Subtest:') ? `#  ${line}` : `# ${line.trimEnd()}`;
  });
}

function oneLine(text: string): string {
  return text
    .split(LINE_BREAKS)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join('; ');
}
