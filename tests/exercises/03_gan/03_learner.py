# wrong: gan_step: the generator's points are constants in both updates
def gan_step(generator, discriminator, g_optimizer, d_optimizer, real, z, gan_loss):
    fake = generator(z).detach()
    d_optimizer.zero_grad()
    gan_loss.d_loss(discriminator(real), discriminator(fake)).backward()
    d_optimizer.step()
    g_optimizer.zero_grad()
    gan_loss.g_loss(discriminator(real), discriminator(fake)).backward()
    g_optimizer.step()


# wrong: gan_step: the generator moves first
def gan_step(generator, discriminator, g_optimizer, d_optimizer, real, z, gan_loss):
    g_optimizer.zero_grad()
    gan_loss.g_loss(discriminator(real), discriminator(generator(z))).backward()
    g_optimizer.step()
    d_optimizer.zero_grad()
    gan_loss.d_loss(discriminator(real), discriminator(generator(z).detach())).backward()
    d_optimizer.step()


# wrong: gan_step: both losses before both steps
def gan_step(generator, discriminator, g_optimizer, d_optimizer, real, z, gan_loss):
    fake = generator(z)
    d_loss = gan_loss.d_loss(discriminator(real), discriminator(fake.detach()))
    g_loss = gan_loss.g_loss(discriminator(real), discriminator(fake))
    for optimizer, loss in ((d_optimizer, d_loss), (g_optimizer, g_loss)):
        optimizer.zero_grad()
        loss.backward()
    d_optimizer.step()
    g_optimizer.step()


# wrong: gan_step: no detach, and the generator's gradients are not cleared
def gan_step(generator, discriminator, g_optimizer, d_optimizer, real, z, gan_loss):
    d_optimizer.zero_grad()
    gan_loss.d_loss(discriminator(real), discriminator(generator(z))).backward()
    d_optimizer.step()
    gan_loss.g_loss(discriminator(real), discriminator(generator(z))).backward()
    g_optimizer.step()


# wrong: gan_step: gradients are never cleared
def gan_step(generator, discriminator, g_optimizer, d_optimizer, real, z, gan_loss):
    fake = generator(z)
    gan_loss.d_loss(discriminator(real), discriminator(fake.detach())).backward()
    d_optimizer.step()
    gan_loss.g_loss(discriminator(real), discriminator(fake)).backward()
    g_optimizer.step()
