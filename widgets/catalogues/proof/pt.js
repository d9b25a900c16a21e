/** Portuguese: what an agent's proof asks. */
export default {
  login_title: 'Entre para usar o vídeo',
  login_help: 'O login abre em uma janela própria. Continue lá somente se ela mostrar este código:',
  login_code: 'Código {code}',
  login_open: 'Entrar com LivePerson',
  enrol_title: 'Registrar este navegador',
  enrol_help: 'Digite o código que seu administrador lhe deu. Ele vale uma vez, por um dia.',
  enrol_code: 'Seu código',
  enrol_send: 'Registrar',
  enrol_wrong: 'Este código não é válido. Confira ou peça um novo.',
  link_send: 'Enviar um link ao cliente',
  link_text: 'Abra este link para falar conosco por vídeo. Ele vale uma vez: {url}',
};
