/**
 * What can be broken in a source file: each change is small, compiles, and stands for a rule that is not kept. All of
 * them go into one program, each behind a switch `__m(number)`, so that nothing is loaded twice.
 */

import ts from 'typescript';

const OPERATORS = new Map([
  ['===', ['!==']],
  ['!==', ['===']],
  ['<', ['<=', '>=']],
  ['<=', ['<', '>']],
  ['>', ['>=', '<=']],
  ['>=', ['>', '<']],
  ['&&', ['||']],
  ['||', ['&&']],
  ['+', ['-']],
  ['-', ['+']],
  ['*', ['/']],
  ['/', ['*']],
  ['%', ['*']],
  ['&', ['|']],
  ['|', ['&']],
]);

const OTHER_STATE = new Map([
  ['private', 'shared'],
  ['shared', 'private'],
]);

/** Each with the text that stands in place of the node's; `drop`: the statement is left out. */
function* changesOf(node) {
  const text = node.getText();
  if (ts.isBinaryExpression(node)) yield* ofBinary(node);
  if (ts.isExpressionStatement(node) && !isSuperCall(node)) yield { drop: true };
  if (isCondition(node)) yield { to: `!(${text})` };
  if (isErrno(node)) yield { to: '0' };
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) {
    yield { to: `(${node.operand.getText()})` };
  }
  if (node.kind === ts.SyntaxKind.TrueKeyword) yield { to: 'false' };
  if (node.kind === ts.SyntaxKind.FalseKeyword) yield { to: 'true' };
  if (ts.isNumericLiteral(node)) yield { to: `${Number(node.text.replaceAll('_', '')) + 1}` };
  if (ts.isStringLiteral(node) && OTHER_STATE.has(node.text) && !isCompared(node)) {
    yield { to: `'${OTHER_STATE.get(node.text)}'` };
  }
}

function* ofBinary({ left, operatorToken, right }) {
  const operator = operatorToken.getText();
  if (operator === '+' && [left, right].some(isText)) return;
  for (const other of OPERATORS.get(operator) ?? []) {
    yield { to: `${left.getText()} ${other} ${right.getText()}` };
  }
}

const isText = (node) => ts.isStringLiteralLike(node) || ts.isTemplateExpression(node);
const isErrno = (node) => ts.isPrefixUnaryExpression(node) && /^-errno\.\w+$/.test(node.getText());
const isSuperCall = ({ expression }) =>
  ts.isCallExpression(expression) && expression.expression.kind === ts.SyntaxKind.SuperKeyword;
/** `x === 'private'` is broken by its operator. */
const isCompared = ({ parent }) => ts.isBinaryExpression(parent) && /^[!=]==$/.test(parent.operatorToken.getText());

/** A condition that is no comparison and no negation, which are broken by themselves. */
function isCondition(node) {
  const { parent } = node;
  const holds =
    ((ts.isIfStatement(parent) || ts.isWhileStatement(parent)) && parent.expression === node) ||
    (ts.isConditionalExpression(parent) && parent.condition === node);
  return holds && !ts.isBinaryExpression(node) && !ts.isPrefixUnaryExpression(node);
}

/** Where nothing is computed: types, imports, and what only describes. */
const isBeside = (node) =>
  ts.isTypeNode(node) ||
  ts.isInterfaceDeclaration(node) ||
  ts.isTypeAliasDeclaration(node) ||
  ts.isImportDeclaration(node) ||
  ts.isExportDeclaration(node) ||
  ts.isThrowStatement(node) ||
  ts.isTemplateExpression(node);

/**
 * The source with every change behind its switch, and what they are.
 *
 * @param {number} first Number of the first one.
 */
export function mutate(path, source, first) {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true);
  const mutants = [];
  /** The node's text, with what is inside it already behind switches. */
  const rewrite = (node) => {
    if (isBeside(node)) return node.getFullText();
    const changes = [...changesOf(node)].map((change) => ({ ...change, number: add(node, change) }));
    const text = inside(node);
    const lead = text.slice(0, text.length - text.trimStart().length + commentLength(text));
    let body = text.slice(lead.length);
    for (const { number, to, drop } of changes) {
      // In braces of its own, so that an `else` after it stays with the statement it belongs to.
      body = drop ? `{ if (!__m(${number})) { ${body} } }` : `(__m(${number}) ? (${to}) : (${body}))`;
    }
    return lead + body;
  };
  const add = (node, { to, drop }) => {
    const number = first + mutants.length;
    const { line } = file.getLineAndCharacterOfPosition(node.getStart());
    const within = source.split('\n')[line].trim();
    mutants.push({ number, path, line: line + 1, within, from: node.getText(), to: drop ? '' : to });
    return number;
  };
  const inside = (node) => {
    let text = '';
    let at = node.getFullStart();
    ts.forEachChild(node, (child) => {
      text += source.slice(at, child.getFullStart()) + rewrite(child);
      at = child.getEnd();
    });
    return text + source.slice(at, node.getEnd());
  };
  const text = inside(file) + source.slice(file.endOfFileToken.getEnd());
  return { text: `const __m = globalThis.__mutant; ${text}`, mutants };
}

/** Comments before a node belong to what leads it. */
function commentLength(text) {
  const blank = text.length - text.trimStart().length;
  const ranges = ts.getLeadingCommentRanges(text, 0) ?? [];
  const end = ranges.at(-1)?.end;
  if (end === undefined) return 0;
  const after = text.slice(end);
  return end + (after.length - after.trimStart().length) - blank;
}
