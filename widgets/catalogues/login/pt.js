/** Portuguese: what only the login page says. */
export default {
  login_compare: 'Seu espaço de trabalho mostra este código?',
  login_compare_help: 'Continue somente se o widget de vídeo do seu próprio espaço de trabalho mostrar exatamente este código. Se alguém mandou você para cá, feche esta página.',
  login_continue: 'Sim, continuar',
  login_done: 'Você entrou',
  login_done_help: 'Você pode fechar esta janela e voltar ao seu espaço de trabalho.',
  login_refused: 'Não funcionou',
  login_refused_help: 'Feche esta janela e entre de novo a partir do seu espaço de trabalho.',
};
