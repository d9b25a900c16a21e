/** Japanese: what only the login page says. */
export default {
  login_compare: 'ワークスペースにこのコードが表示されていますか？',
  login_compare_help: 'ご自分のワークスペースのビデオウィジェットにこのコードがそのまま表示されている場合のみ続行してください。誰かにここへ案内された場合は、このページを閉じてください。',
  login_continue: 'はい、続行する',
  login_done: 'ログインしました',
  login_done_help: 'このウィンドウを閉じて、ワークスペースに戻れます。',
  login_refused: 'うまくいきませんでした',
  login_refused_help: 'このウィンドウを閉じて、ワークスペースからもう一度ログインしてください。',
};
