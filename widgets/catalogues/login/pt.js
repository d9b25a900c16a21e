/** Portuguese: what only the login page says. */
export default {
  login_compare: 'O seu espaço de trabalho mostra este código?',
  login_compare_help: 'Continue apenas se o widget de vídeo do seu próprio espaço de trabalho mostrar exatamente este código. Se alguém o enviou para aqui, feche esta página.',
  login_continue: 'Sim, continuar',
  login_done: 'Sessão iniciada',
  login_done_help: 'Pode fechar esta janela e voltar ao seu espaço de trabalho.',
  login_refused: 'Não funcionou',
  login_refused_help: 'Feche esta janela e inicie sessão novamente a partir do seu espaço de trabalho.',
};
